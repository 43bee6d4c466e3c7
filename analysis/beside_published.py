"""Published numbers beside ours, one table a law: what was printed, what we found of the same quantity, and how they differ.

Where ours measures something else, or nothing, the row says that the two are not comparable, and why. The rows of
``results/published`` that no row of a table is about stand in its last ones, counted, with the reason.
"""

import fnmatch
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from analysis.laws.capacity_gap_published import PUBLISHED as BEST_TEACHERS
from analysis.laws.depth_published import published_exponents, published_gaps
from analysis.laws.multilinguality_published import published_brackets, published_contrast, published_gains
from analysis.laws.prepacking_published import NAMES, read_published
from analysis.typeset import NOTHING, Table, interval, short
from curselab.contract import CONTRACT
from curselab.errors import InputError

Row = dict[str, str]

LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    "capacity_gap": {
        "busbridge_2025*": "constants of a law of the loss, of models of 143M to 12.6B parameters",
        "minima_3b": "settings of one run",
        "zhang_2023": "offset and fit of the same line, in millions of parameters; sizes of its teachers",
    },
    "depth": {
        "sun_2025": "losses themselves are of other texts and tokenizers; bounds on the last variance",
        "li_2024": "losses themselves are of other texts and tokenizers",
        "prores_2026": "losses themselves are of other texts and tokenizers",
        "replication_2025": "a loss without its baseline",
        "sparsity_2026": "numbers of one model each",
    },
    "multilinguality": {
        "chang_2023": "settings, and shares of a variance between targets, of which there are too few here",
        "atlas_2025*": "constants and errors of a law over 10 to 400 languages; transfer between pairs, not run here",
        "muennighoff_2023": "constants of repeated text; passes are held fixed here",
        "he_2024": "exponents of families in one mixture; mixtures here have one target",
        "fernandes_2023": "shares in translation",
    },
    "stability_gap": {
        "wang_2025*": "constants and errors of a law of the loss at any step, of 106M parameters and more",
        "cmr_2024*": "largest share of new text, by a law over budgets and shares; here are two shares",
        "dcpt_2024*": "quality of fit of a law over shares, and losses of other texts",
        "bethune_2025": "ranges of constants of a law over sizes and shares",
        "table *": "shares of tasks that are right, of models of 3B and 8B parameters",
    },
    "prepacking": {
        "prefill_speedup_by_bins": "the paper's batches one by one, without their lengths (docs/laws/prepacking.md fits them)",
        "prefill_speedup": "data sets and numbers of prompts that are not timed here",
        "prefill_time_*": "seconds of another machine",
        "TTFT_time_per_batch": "seconds of another machine",
        "mean_*": "lengths",
        "max_gpu_memory": "bytes of another model, caches and precision",
    },
}
"""Why published numbers have none of ours beside them, by law and by the first column of their rows."""


def beside_published(fit: Any, runs: pd.DataFrame | None = None) -> Table:
    """Lay out published numbers beside those of a fit.

    Parameters
    ----------
    fit : result of a law
        As ``analysis.fit.read_fit`` gives it.
    runs : pandas.DataFrame, optional
        The table that was fitted; only ``prepacking`` needs it.

    Raises
    ------
    InputError
        Nothing is published of what the law measures, or the table of ``prepacking`` is missing.
    """
    if fit.law not in _ROWS or getattr(fit, "loss_unit", "nats/token") != "nats/token":
        raise InputError(f"{fit.law}: no published number measures what this fit does (allowed: {', '.join(_ROWS)})")
    if fit.law == "prepacking" and runs is None:
        raise InputError("prepacking: its speed-ups stand in the table of times, which is needed too ('--runs FILE')")
    rows = [*_ROWS[fit.law](fit, runs), *_left_out(fit.law)]
    note = (
        "Difference: ours less the published number, or as a multiple of it (x); its interval is that of ours alone. "
        "Sources are named as in results/published."
    )
    return Table(pd.DataFrame(rows), note)


def _row(quantity: str, published: str, source: str, ours: str = NOTHING, difference: str = NOTHING, remark: str = "") -> Row:
    return {
        "Quantity": quantity,
        "Published": published,
        "Source": source,
        "Ours": ours,
        "Difference": difference,
        "Remark": remark,
    }


def _apart(why: str) -> str:
    return f"not comparable: {why}"


def _less(ends: Iterable[float | None], published: float) -> str:
    """Value and interval, less a published number."""
    value, *rest = (None if end is None else end - published for end in ends)
    return short(value) if None in rest else f"{short(value)} {interval(*rest)}"


def _times(ends: Iterable[float], published: float) -> str:
    """Value and interval, as multiples of a published number."""
    value, *rest = (end / published for end in ends)
    return f"x {short(value)} {interval(*rest)}"


def _spread(values: Iterable[float]) -> str:
    ends = sorted(values)
    return " to ".join(dict.fromkeys(short(end) for end in (ends[0], ends[-1])))


def _left_out(law: str) -> list[Row]:
    """Count the published rows that are about something else, by reason."""
    if law not in LEFT_OUT:
        return []
    files = (CONTRACT.parent / "published").glob(f"{law}*.csv")
    keys = pd.concat([pd.read_csv(path).iloc[:, 0] for path in files])
    return [
        _row("all else", f"{len(fnmatch.filter(keys, names))} in all", names, remark=_apart(why))
        for names, why in LEFT_OUT[law].items()
    ]


def _scaling(fit: Any, runs: pd.DataFrame | None) -> list[Row]:
    """Exponents; what is positive is a size, which hangs on text and tokenizer."""
    ours, rows = fit.frame().set_index("symbol"), []
    for source, values in fit.form.published.items():
        for symbol, size in zip(fit.form.symbols, fit.form.positive, strict=True):
            printed, mine = values[symbol], ours.loc[symbol]
            if size:
                rows.append(_row(symbol, f"{printed:g}", source, remark=_apart("hangs on text and tokenizer")))
            elif mine["status"] != "ok":
                rows.append(_row(symbol, f"{printed:g}", source, "not identified"))
            else:
                ends = [float(mine[name]) for name in ("value", "lower", "upper")]
                found = f"{short(ends[0])} {interval(*ends[1:])}"
                rows.append(_row(symbol, f"{printed:g}", source, found, _less(ends, printed)))
    return rows


def _capacity_gap(fit: Any, runs: pd.DataFrame | None) -> list[Row]:
    law, above = fit.across, sorted(s.above / s.student for s in fit.students if s.above is not None)
    rows = []
    for line in BEST_TEACHERS:
        ours, difference = "not identified", NOTHING
        if law.status == "ok":
            ours = f"{short(law.k)} {interval(law.k_lower, law.k_upper)}"
            difference = _times((law.k, law.k_lower, law.k_upper), line.ratio)
        elif above:
            ours = f"above {_spread(above)} ({100 * fit.level:g}%, a bound for each of {len(above)} students)"
            below = sum(line.ratio < bound for bound in above)
            difference = f"published lies below the bounds of {below}" if below else "published lies within all bounds"
        remark = "students cut out of their teacher there, fresh ones here" if line.arm == "pruned" else ""
        printed = f"{short(line.ratio)} [{line.span[0]:g}, {line.span[1]:g}]"
        rows.append(_row("best teacher over student", printed, f"{line.label}, {line.trust}", ours, difference, remark))
    return rows


def _depth(fit: Any, runs: pd.DataFrame | None) -> list[Row]:
    baseline, rows = fit.curse.scheme, []
    falls = {(fall.scheme, fall.depth): fall.estimate for fall in fit.falls}
    for scheme in dict.fromkeys(scheme for scheme, _ in falls):
        gaps = published_gaps(scheme, baseline).dropna(subset="layers").sort_values(["layers", "model", "study"])
        for gap in gaps.to_dict("records"):
            quantity = f"loss of {scheme} less that of {baseline}, $L$ = {gap['layers']} (nats/token)"
            printed = "diverged" if gap["status"] == "diverged" else short(gap["gap"])
            row = _row(quantity, printed, f"{gap['study']} {gap['table']}, {gap['model']}, {gap['trust']}")
            fall = falls.get((scheme, gap["layers"]))
            if fall is None or fall.value is None:
                row["Remark"] = _apart(f"no models of {gap['layers']} blocks here")
            else:
                ends = [None if end is None else -end for end in (fall.value, fall.upper, fall.lower)]
                row["Ours"] = _less(ends, 0.0)
                if gap["status"] == "diverged":
                    row["Remark"] = _apart("a model that diverged has no loss")
                else:
                    row |= {"Difference": _less(ends, gap["gap"]), "Remark": "other widths, texts and tokenizers"}
            rows.append(row)
    return rows + _exponents_of_depth(fit)


def _exponents_of_depth(fit: Any) -> list[Row]:
    grown = next(s.over_depth for s in fit.schemes if s.scheme == fit.curse.scheme)
    rows = []
    for printed in published_exponents(fit.level).to_dict("records"):
        number = f"{short(printed['exponent'])} {interval(printed['lower'], printed['upper'])}"
        row = _row(f"exponent of $L$: {printed['quantity']}", number, "sparsity_2026, by a line through four logarithms")
        if printed["quantity"] != "last variance, end of training":
            row["Remark"] = _apart("measured at the end of training here, blocks as a share")
        elif grown is None:
            row["Remark"] = _apart("three depths or more are needed here")
        else:
            ends = [grown.exponent.value, grown.exponent.lower, grown.exponent.upper]
            row |= {"Ours": _less(ends, 0.0), "Difference": _less(ends, printed["exponent"])}
        rows.append(row)
    return rows


def _multilinguality(fit: Any, runs: pd.DataFrame | None) -> list[Row]:
    rows, cells = [], fit.verdicts or fit.by_language
    sizes = " to ".join(short(end) for end in (min(v.params for v in cells), max(v.params for v in cells)))
    data = " to ".join(short(end) for end in (min(v.tokens for v in cells), max(v.tokens for v in cells)))
    elsewhere = _apart(f"ours are {sizes} parameters and {data} tokens")
    for printed in published_gains().to_dict("records"):
        what = f"worth of added languages{', ' + printed['mixture'] if printed['mixture'] else ''}"
        at = f"$N$ = {short(printed['params'])}, $D$ = {short(printed['tokens'])}"
        mine = [2**v.gain for v in cells if printed["mixture"] in ("", v.mixture)]
        ours = _spread(mine) if mine else NOTHING
        rows.append(
            _row(f"{what}, {at}", short(2 ** printed["gain"]), f"chang_2023, {printed['trust']}", ours, remark=elsewhere)
        )
    for printed in published_contrast().to_dict("records"):
        row = _row("similar over dissimilar languages", short(2 ** printed["value"]), f"chang_2023, {printed['size']}")
        mine = [c for c in fit.contrasts if (c.first, c.second, c.tokens) == ("similar", "dissimilar", None)]
        if mine and None not in (mine[0].value, mine[0].lower, mine[0].upper):
            ends = [2**end for end in (mine[0].value, mine[0].lower, mine[0].upper)]
            row |= {"Ours": f"{short(ends[0])} {interval(*ends[1:])}", "Difference": _times(ends, 2 ** printed["value"])}
            row["Remark"] = "a ratio of equivalent data in both; sizes and data differ"
        else:
            row["Remark"] = _apart("not both kinds of languages here")
        rows.append(row)
    for printed in published_brackets().to_dict("records"):
        between = f"{short(printed['helps'])} to {short(printed['hurts'])}"
        mine = [c.tokens for c in fit.crossovers if c.tokens is not None and not c.notes]
        ours = f"{_spread(mine)}, within the law" if mine else "none found"
        rows.append(_row(f"crossover, {printed['size']} (target tokens)", between, "chang_2023", ours, remark=elsewhere))
    return rows


def _stability_gap(fit: Any, runs: pd.DataFrame | None) -> list[Row]:
    tables = pd.read_csv(CONTRACT.parent / "published" / "stability_gap_tables.csv")
    means = tables[(tables["table"] == "table 1") & (tables["metric"] == "MMLU-Med-Avg")].set_index("row")["value"]
    shown = fit.condition(fit.conditions[0].new, base=fit.conditions[0].base)
    rows = []
    for printed, terms in (
        ("Replay 10% data", ("mixture",)),
        ("Replay 10% data with strategies I and II", ("subset", "quality", "mixture")),
        ("Strategies I, II and III", ("subset", "quality", "mixture")),
    ):
        gain = means[printed] - means["Full token baseline (1 epoch)"]
        effects = [e for e in shown.effects if e.outcome == "new_loss" and e.term in terms]
        found = [f"{e.term} {short(e.estimate.value)} {interval(e.estimate.lower, e.estimate.upper)}" for e in effects]
        rows.append(
            _row(
                f"{printed}, over the baseline (points of MMLU-Med-Avg)",
                f"{gain:+.1f}",
                "Guo et al. 2024, table 1, primary",
                "; ".join(found) or NOTHING,
                remark=_apart(f"tasks of a 3B model there; here the last loss on {shown.new} in nats/token, lower is better"),
            )
        )
    return rows


def _prepacking(fit: Any, runs: pd.DataFrame | None) -> list[Row]:
    assert runs is not None
    printed, found, rows = read_published(), fit.speedups(runs), []
    found = found[found["method"] == "prepacking"]
    for (name, batch), part in printed[printed["quantity"] == "prefill_speedup"].groupby(["dataset", "batch"]):
        mine = found.loc[(found["distribution"] == NAMES[str(name)]) & (found["batch"] == batch), "measured"]
        if len(mine):
            change = 100 * (mine.median() / part["value"].median() - 1)
            models = ", ".join(part["model"].str.removeprefix("Llama2-"))
            rows.append(
                _row(
                    f"prepacking over left padding, {name}, {batch} prompts (speed-up)",
                    _spread(part["value"]),
                    f"Zhao et al. 2024, {models}, primary",
                    _spread(mine),
                    f"{change:+.0f}%",
                    "one draw of a stand-in for its lengths here; logits for every token there",
                )
            )
    return rows


_ROWS: Mapping[str, Callable[[Any, pd.DataFrame | None], list[Row]]] = {
    "scaling": _scaling,
    "capacity_gap": _capacity_gap,
    "depth": _depth,
    "multilinguality": _multilinguality,
    "stability_gap": _stability_gap,
    "prepacking": _prepacking,
}
