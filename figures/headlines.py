"""What the overview shows of each law: one quantity against what there is more of, and what was found in a few words."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.laws.multilinguality_runs import SIMILAR
from analysis.typeset import with_uncertainty
from figures import capacity_gap, depth, learning_rate, multilinguality, prepacking, scaling, stability_gap
from figures.style import si


@dataclass(frozen=True, slots=True)
class Headline:
    """How a law is drawn small."""

    title: str
    key: str
    """What the labels are, where they do not say it themselves."""
    draw: Callable[..., tuple[Any, pd.DataFrame]]
    """The law's own figure, whose frame is drawn."""
    choose: Callable[[Any, pd.DataFrame], pd.DataFrame]
    """Rows of that frame, with label, x, value, lower and upper."""
    words: Callable[[Any, pd.DataFrame], str]
    """What was found."""
    x: str
    y: str
    xscale: str = "si"
    """``si``, ``factor`` (logarithmic) or ``linear``."""
    yscale: str = "linear"
    reference: float | None = None
    """Value at which more changes nothing."""
    joined: bool = False
    """Points of a label follow each other."""


def _scaling(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    """The smallest, the middle and the largest size, each with its law inside its runs."""
    runs = drawn[drawn["series"] == "run"]
    sizes = np.unique(runs["params"])
    parts = []
    for size in np.unique(sizes[[0, len(sizes) // 2, -1]]):
        mine = runs[runs["params"] == size]
        line = fit.predict(size, np.geomspace(mine["tokens"].min(), mine["tokens"].max(), 41)).assign(series="fit")
        parts.append(pd.concat([mine, line], ignore_index=True).assign(label=si(size)))
    chosen: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return chosen.rename(columns={"tokens": "x", "loss": "value"})


def _scaling_words(fit: Any, drawn: pd.DataFrame) -> str:
    if fit.unidentified:
        return f"not identified: {', '.join(fit.unidentified)}"
    exponents = [name for name in ("alpha", "beta") if name in fit.symbols]
    return ", ".join(rf"$\{name}={with_uncertainty(fit.params[name], fit.bse[name])}$" for name in exponents)


def _capacity_gap(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    chosen = drawn[drawn["series"].isin(["mean", "curve"])]
    lowest = chosen[chosen["series"] == "mean"].groupby("student")["loss"].min()
    chosen = chosen.assign(value=chosen["loss"] - chosen["student"].map(lowest), lower=np.nan, upper=np.nan)
    return chosen.assign(x=chosen["teacher"], label=[si(size) for size in chosen["student"]])


def _capacity_gap_words(fit: Any, drawn: pd.DataFrame) -> str:
    found = f"{fit.across.n_students} of {len(fit.students)} best teachers found"
    return f"{found}, law {f'b = {fit.across.b:.2f}' if fit.status == 'ok' else 'not identified'}"


def _learning_rate(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    chosen = drawn[drawn["series"].isin(["mean", "curve"])]
    chosen = chosen.rename(columns={"factor": "x", "percent": "value"})
    return chosen.assign(label=[si(size) for size in chosen["size"]])


def _learning_rate_words(fit: Any, drawn: pd.DataFrame) -> str:
    found = sum(s.optimum is not None for s in fit.sizes)
    return (
        f"{found} of {len(fit.sizes)} best rates found; rule within {100 * fit.tolerance:g}\N{NO-BREAK SPACE}%: {fit.verdict}"
    )


def _depth(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    """The baseline and the scheme with the lowest last variance."""
    chosen = drawn[drawn["series"].isin(["variance", "law"])]
    last = chosen[chosen["series"] == "variance"].groupby("scheme")["value"].last()
    schemes = dict.fromkeys([fit.curse.scheme, *last.sort_values().index[:1]])
    chosen = chosen[chosen["scheme"].isin(list(schemes))]
    return chosen.assign(label=chosen["scheme"]).sort_values("scheme", key=lambda names: names.map(list(schemes).index))


def _depth_words(fit: Any, drawn: pd.DataFrame) -> str:
    return f"{fit.curse.scheme} at {fit.curse.depth} blocks: {fit.curse.call}"


def _multilinguality(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    """One mixture, that of similar languages where it is there, at the size of model with the most cells."""
    gains: pd.DataFrame = drawn[drawn["series"] == "gain"]
    gains = gains[gains["mixture"] == (SIMILAR if SIMILAR in fit.mixtures else fit.mixtures[0])]
    counts = gains["params"].value_counts()
    gains = gains[gains["params"] == counts[counts == counts.max()].index.max()]
    chosen = gains.assign(x=gains["added"] / gains["tokens"], label=[si(tokens) for tokens in gains["tokens"]])
    return chosen.assign(**{name: 2 ** chosen[name] for name in ("value", "lower", "upper")})


def _multilinguality_words(fit: Any, drawn: pd.DataFrame) -> str:
    shown = _multilinguality(fit, drawn).iloc[0]
    found = Counter(v.verdict for v in fit.verdicts or fit.by_language)
    cells = ", ".join(f"{number}\N{NO-BREAK SPACE}{verdict}" for verdict, number in found.most_common())
    return f"{cells}; shown: {shown['mixture']}, $N$\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{si(shown['params'])}"


def _stability_gap(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    """Old text under the arm without a strategy, and under the control."""
    shown = fit.condition(fit.conditions[0].new, base=fit.conditions[0].base)
    controls = [end.arm for end in shown.ends if end.role == "control"]
    names = {shown.baseline: "new text"} | dict.fromkeys(controls, "old text (control)")
    chosen = drawn[(drawn["series"] == "old") & drawn["arm"].isin(list(names)) & (drawn["x"] > 0)]
    return chosen.assign(label=chosen["arm"].map(names))


def _stability_gap_words(fit: Any, drawn: pd.DataFrame) -> str:
    shown = fit.condition(fit.conditions[0].new, base=fit.conditions[0].base)
    return f"to {shown.new}: {shown.reading}"


def _prepacking(fit: Any, drawn: pd.DataFrame) -> pd.DataFrame:
    chosen = drawn[(drawn["series"] == "measured") & drawn["method"].isin(["prepacking", "token_stream"])]
    return chosen.assign(label=chosen["method"].str.replace("_", " "))


def _prepacking_words(fit: Any, drawn: pd.DataFrame) -> str:
    best = _prepacking(fit, drawn)["value"].max()
    error = "" if fit.held_out is None else f"; law {100 * fit.held_out.median:.1f}\N{NO-BREAK SPACE}% off on lengths left out"
    return f"up to {best:.2g} times as fast{error}"


HEADLINES = {
    "scaling": Headline(
        "Plain scaling",
        "size\N{NO-BREAK SPACE}$N$",
        scaling.draw,
        _scaling,
        _scaling_words,
        x="training tokens $D$",
        y="loss (nats/token)",
    ),
    "capacity_gap": Headline(
        "Capacity gap",
        "student\N{NO-BREAK SPACE}$N_S$",
        capacity_gap.draw,
        _capacity_gap,
        _capacity_gap_words,
        x="teacher $N_T$ (parameters)",
        y="loss rise (nats/token)",
        joined=True,
    ),
    "learning_rate": Headline(
        "Learning rate",
        "size\N{NO-BREAK SPACE}$N$",
        learning_rate.draw,
        _learning_rate,
        _learning_rate_words,
        x="rate / the rule's",
        y="loss rise (%)",
        xscale="factor",
        joined=True,
    ),
    "depth": Headline(
        "Curse of depth",
        "scheme",
        depth.draw,
        _depth,
        _depth_words,
        x="block",
        y="variance of the stream",
        xscale="linear",
        yscale="factor",
    ),
    "multilinguality": Headline(
        "Multilinguality",
        "own data\N{NO-BREAK SPACE}$D$",
        multilinguality.draw,
        _multilinguality,
        _multilinguality_words,
        x="added / own data",
        y="equivalent / own data",
        xscale="factor",
        yscale="factor",
        reference=1.0,
        joined=True,
    ),
    "stability_gap": Headline(
        "Stability gap",
        "",
        stability_gap.draw,
        _stability_gap,
        _stability_gap_words,
        x="tokens",
        y="old loss (nats/token)",
        joined=True,
    ),
    "prepacking": Headline(
        "Prepacking",
        "",
        prepacking.draw,
        _prepacking,
        _prepacking_words,
        x="slots / real tokens",
        y="speed-up",
        xscale="factor",
        reference=1.0,
    ),
}
