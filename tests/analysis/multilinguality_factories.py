"""Tables of the sweep ``multilinguality`` with a known truth, in the columns of the contract."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.laws.multilinguality_curse import HelpThenHurt
from tests.analysis.factories import frame, record

TRUTH = HelpThenHurt(E=1.2, A=2e5**0.35, B=1.5 * 2e5**0.3, alpha=0.35, beta=0.3, cost=0.3, gain=0.8, scale=1e5)
"""Similar languages, 20 passes over the target: at ten times its text they help below about 1e5 target tokens at 75k."""
ARMS = {
    "similar": TRUTH,
    "dissimilar": replace(TRUTH, gain=0.4),
    "null_language": replace(TRUTH, gain=0.0),
}
KINSHIPS = ((0.0, 0.0), (0.9, 0.0), (0.0, 0.75), (0.9, 0.75))
"""Syntactic and lexical similarity of the languages that are similar to a target, by turns over the targets."""
OF_SYNTAX, OF_LEXICON = 0.4, 0.2
"""What the added data are worth more, as ``gain``, by a similarity of 1."""
NOTHING = dict.fromkeys(ARMS, replace(TRUTH, gain=0.0, cost=0.0))
"""Added languages of which nothing follows."""
EPOCHS = 20


def passes(extra: float) -> float:
    """Gain of ``extra`` times the target's passes in addition: some help, many overfit; log2 of target data."""
    return 0.3 * extra - 0.5 * extra**2


def multilinguality_runs(
    arms: Mapping[str, HelpThenHurt] = ARMS,
    *,
    sizes: tuple[int, ...] = (75_000, 450_000),
    tokens: tuple[int, ...] = (20_000, 63_000, 200_000, 630_000, 2_000_000),
    ratios: tuple[int, ...] = (1, 10),
    languages: int = 6,
    seeds: int = 3,
    noise: float = 0.004,
    spread: float = 0.1,
    matched: Callable[[float], float] | None = passes,
    ladder: tuple[int, ...] = (),
    artificial: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw runs of every arm; each language has its own E, A and B, the same in every arm.

    ``noise`` is the standard deviation of ln L of one run, ``spread`` that of ln E, ln A and ln B. Sizes of ``ladder`` are run
    by the stage ``capacity``, alone and with the languages of ``similar``. ``artificial`` languages have a known entropy, and
    their similar ones are as alike as ``KINSHIPS`` says, all others not at all.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(languages):
        language, scales = f"l{number:02}", np.exp(spread * rng.standard_normal(3))
        own = {name: _scaled(law, scales) for name, law in arms.items()}
        alone, known = next(iter(own.values())), {}
        if artificial:
            syntax, lexicon = KINSHIPS[number % len(KINSHIPS)]
            least = own["dissimilar"].gain
            own["similar"] = replace(own["similar"], gain=least + OF_SYNTAX * syntax + OF_LEXICON * lexicon)
            known = {"domain_entropy_bits_per_byte": alone.E / np.log(2), "kinship": (1 - syntax, lexicon)}
        for N in (*sizes, *ladder):
            for D in tokens:
                cells = [("monolingual", 0, float(alone.loss(N, D, 0)))]
                for M in (ratio * D for ratio in ratios):
                    cells += [(name, M, float(law.loss(N, D, M, EPOCHS * D))) for name, law in own.items()]
                    if matched is not None:
                        worth = D * 2 ** matched(M / (EPOCHS * D))
                        cells.append(("matched", M, float(alone.loss(N, worth, 0))))
                for stage, M, loss in cells:
                    if N in ladder and stage not in ("monolingual", "similar"):
                        continue
                    for one in range(seeds):
                        nats = float(loss * np.exp(noise * rng.standard_normal()))
                        rows.append(_row(len(rows), language, stage, N, D, M, one, nats, capacity=N in ladder))
                        rows[-1] |= _known(stage, known)
    return frame(rows)


def _scaled(law: HelpThenHurt, scales: np.ndarray) -> HelpThenHurt:
    e, a, b = scales.tolist()
    return replace(law, E=law.E * e, A=law.A * a, B=law.B * b)


def _known(stage: str, known: dict[str, Any]) -> dict[str, Any]:
    """Columns on artificial languages: nothing is known of the likeness of a null language, or without added ones."""
    if not known or stage not in ("similar", "dissimilar"):
        return {"domain_entropy_bits_per_byte": known["domain_entropy_bits_per_byte"]} if known else {}
    distance, overlap = known["kinship"] if stage == "similar" else (1.0, 0.0)
    entropy = known["domain_entropy_bits_per_byte"]
    return {"domain_entropy_bits_per_byte": entropy, "added_syntax_distance": distance, "added_lexical_jaccard": overlap}


def _row(
    number: int, language: str, stage: str, N: int, D: int, M: int, seed: int, loss: float, *, capacity: bool
) -> dict[str, Any]:
    total, other = EPOCHS * D + M, stage not in ("monolingual", "matched")
    share = EPOCHS * D / total
    added = "".join(f", {stage}{i} {(1 - share) / 2:g}" for i in range(2))
    mixture = f"{language} {share if other else 1:g} of {D}{added if other else ''}"
    return record(
        number,
        sweep="multilinguality",
        stage="capacity" if capacity else stage,
        seed=seed,
        params_non_embedding=N,
        params_total=N + 8192,
        tokens=total,
        # by its share in six digits, as a mixture says it
        domain_tokens=round(float(f"{share:g}") * total) if other else total,
        domain_unique_tokens=D,
        domain=language,
        mixture=mixture,
        loss_nats_per_token=loss,
        loss_bits_per_byte=loss / float(np.log(2)),
    )
