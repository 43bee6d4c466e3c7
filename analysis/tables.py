"""The table of a fit for a paper, published numbers beside ours where they measure the same thing.

They do for exponents of the loss (not for sizes and floor, which hang on text and tokenizer), ratios of best teachers, worths
of added languages over the own curve, and differences of norm schemes at one depth. No published number measures what the
other tables hold: the cost of a rule's learning rate, a depth of a stability gap in nats/token, the constants of a machine.
"""

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.fit import read_fit
from analysis.laws.capacity_gap_published import PUBLISHED
from analysis.laws.depth_published import published_gaps
from analysis.laws.multilinguality_published import published_gains
from analysis.typeset import NOTHING, Table, interval, short, with_uncertainty
from curselab.files import write_text

NOT_IDENTIFIED = "not identified"


def parameter_table(
    parameters: pd.DataFrame, level: float, published: Mapping[str, Mapping[str, float]] | None = None
) -> pd.DataFrame:
    """Lay out the parameters of a law (columns of ``FitResult.frame``): a row each, or the words "not identified".

    ``published`` has values by source and symbol, for a column each.
    """
    rows = []
    for row in parameters.to_dict("records"):
        known = row["status"] == "ok"
        rows.append(
            {
                "Parameter": f"${_GREEK.sub(_as_greek, row['symbol'])}$",
                "Unit": NOTHING if row["unit"] == "1" else row["unit"],
                "Estimate (s.e.)": with_uncertainty(row["value"], row["se"]) if known else NOT_IDENTIFIED,
                f"{100 * level:g}% interval": interval(row["lower"], row["upper"]) if known else NOTHING,
            }
            | {source: _as_printed(values.get(row["symbol"])) for source, values in (published or {}).items()}
        )
    return pd.DataFrame(rows)


_GREEK = re.compile(r"^(alpha|beta|gamma|eta|eps|phi|psi|lambda)(?=_|$)")


def _as_greek(match: re.Match[str]) -> str:
    return "\\epsilon" if match[1] == "eps" else f"\\{match[1]}"


def student_table(students: pd.DataFrame, level: float, unit: str) -> pd.DataFrame:
    """Lay out the students of the capacity gap (columns of ``CapacityGapFit.frame``), sizes in a unit."""
    rows = []
    for row in students.to_dict("records"):
        known = row["status"] == "ok"
        rows.append(
            {
                f"Student ({unit})": short(row["student"]) + (", pruned" if row["arm"] == "pruned" else ""),
                f"Best teacher ({unit})": short(row["optimum"]) if known else NOT_IDENTIFIED + _bound(row),
                f"{100 * level:g}% interval": interval(row["lower"], row["upper"]) if known else NOTHING,
                "Ratio": short(row["ratio"]) if known else NOTHING,
                "$p$ (no rise)": short(row["p_no_rise"], 2),
            }
        )
    return pd.DataFrame(rows)


def _bound(row: Mapping[Hashable, Any]) -> str:
    sides = (("above", ">"), ("below", "<"))
    return next((f", ${sign}$ {short(row[side])}" for side, sign in sides if pd.notna(row[side])), "")


def rate_table(sizes: pd.DataFrame, level: float) -> pd.DataFrame:
    """Lay out the sizes of the learning-rate law (columns of ``LearningRateFit.frame``)."""
    rows = []
    for row in sizes.to_dict("records"):
        known, cost = row["status"] == "ok", short(row["cost_percent"], 2)
        between = interval(row["cost_lower_percent"], row["cost_upper_percent"])
        rows.append(
            {
                "Size (parameters)": short(row["size"]),
                "Rule's rate": short(row["chosen"]),
                f"Rule's cost (%), {100 * level:g}% interval": f"{cost} {between}",
                "Best rate": short(row["optimum"]) if known else f"{NOT_IDENTIFIED} ({row['reasons']})".replace("_", " "),
                f"{100 * level:g}% interval": interval(row["lower"], row["upper"]) if known else NOTHING,
            }
        )
    return pd.DataFrame(rows)


def depth_table(fit: Any) -> pd.DataFrame:
    """Lay out schemes and depths of a ``DepthFit``, with the verdicts."""
    baseline, level = fit.curse.scheme, f"{100 * fit.level:g}% interval"
    calls = {(verdict.scheme, verdict.depth): verdict.call for verdict in (fit.curse, *fit.lifts)}
    falls = {(fall.scheme, fall.depth): fall.estimate for fall in fit.falls}
    rows = []
    for row in fit.frame().to_dict("records"):
        place = row["scheme"], row["depth"]
        rows.append(
            {
                "Scheme": str(row["scheme"]),
                "$L$": str(row["depth"]),
                f"Loss (nats/token), {level}": _between(row, "loss", 4),
                f"Less that of {baseline}": _risen(falls.get(place)),
                "Published (models)": NOTHING if place[0] == baseline else _published_gaps(*place, baseline),
                "Growth of variance": row["growth"] if isinstance(row["growth"], str) else NOT_IDENTIFIED,
                "Median share": _between(row, "median_share"),
                "Deep share": _between(row, "deep_share"),
                "Verdict": calls.get(place, ""),
            }
        )
    return pd.DataFrame(rows)


def _risen(fall: Any) -> str:
    """Loss less the baseline's of a fall below it."""
    if fall is None or fall.value is None:
        return NOTHING
    return short(-fall.value) + ("" if fall.lower is None else f" {interval(-fall.upper, -fall.lower)}")


def _published_gaps(scheme: str, depth: int, baseline: str) -> str:
    """Smallest and largest published loss of a scheme less the baseline's at a depth, nats/token, and how many diverged."""
    gaps = published_gaps(scheme, baseline)
    gaps = gaps[gaps["layers"] == depth]
    known = gaps["gap"].dropna()
    ends = " to ".join(dict.fromkeys(short(gap, 2) for gap in (known.min(), known.max()))) if len(known) else ""
    words = [f"{ends} ({len(known)})"] if len(known) else []
    lost = len(gaps) - len(known)
    return ", ".join(words + ([f"diverged ({lost})"] if lost else [])) or NOTHING


def stability_gap_table(arms: pd.DataFrame, level: float) -> pd.DataFrame:
    """Lay out the arms of the largest budget on the old text (rows of ``StabilityGapSweep.frame``)."""
    rows = []
    for row in arms.to_dict("records"):
        rows.append(
            {
                "New text": str(row["new"]),
                "Arm": str(row["arm"]).replace("_", " "),
                f"Depth, {100 * level:g}% interval": _between(row, "depth"),
                "Over control": _between(row, "excess_depth"),
                "Gap index": NOTHING if pd.isna(row["gap_index_lower"]) else _between(row, "gap_index"),
                "Forgotten": _between(row, "permanent"),
                "New loss": _between(row, "end_new_loss", 4),
                "Speed-up": _between(row, "end_speed_up", 2),
                "Verdict": NOTHING if pd.isna(row["verdict"]) else str(row["verdict"]),
            }
        )
    return pd.DataFrame(rows)


def gain_table(verdicts: pd.DataFrame, level: float) -> pd.DataFrame:
    """Lay out what each arm is worth in target data (rows of ``MultilingualityFit.frame``), 1: as much as there is."""
    rows = []
    for row in verdicts.to_dict("records"):
        worth, matched = ([_factor(row[name]) for name in names] for names in (_OWN, _MATCHED))
        rows.append(
            {
                "Arm": " ".join(filter(None, (row["language"], row["mixture"]))).replace("_", " "),
                "$N$ (parameters)": short(row["params"]),
                "$D$ (tokens)": short(row["tokens"]),
                "Added / own": short(row["added"] / row["tokens"], 2),
                f"Worth, {100 * level:g}% interval": f"{short(worth[0])} {interval(*worth[1:])}",
                "Over matched": NOTHING if matched[0] is None else f"{short(matched[0])} {interval(*matched[1:])}",
                "Detectable": short(_factor(row["detectable"])),
                "Censored (%)": f"{100 * row['censored']:.0f}",
                "Verdict": row["verdict"],
            }
        )
    return pd.DataFrame(rows)


_OWN = ("gain", "lower", "upper")
_MATCHED = ("matched", "matched_lower", "matched_upper")


def _factor(log2: float | None) -> float | None:
    return None if log2 is None or pd.isna(log2) else 2.0**log2


def _between(row: Mapping[Hashable, Any], name: str, digits: int = 3) -> str:
    """Value and interval of a column, or a dash and why."""
    if pd.isna(row[name]):
        return NOTHING
    value, lower, upper = (row[key] for key in (name, f"{name}_lower", f"{name}_upper"))
    return short(value, digits) + (
        " (no interval)" if pd.isna(lower) else f" [{short(lower, digits)}, {short(upper, digits)}]"
    )


def render(fit: Any, ending: str = ".tex") -> str:
    """Lay out the result of any law as LaTeX, Markdown or CSV, by the ending of a file."""
    return lay_out(fit).render(ending)


def lay_out(fit: Any) -> Table:
    """Lay out the result of any law, with the number of runs, seeds and diverged runs in its note."""
    counts = fit.counts
    note = f"{counts.n_runs} runs, {counts.n_diverged} diverged, up to {counts.n_seeds} seeds a setting."
    if fit.law == "capacity_gap":
        noise = fit.noise()
        words = f"{note}{_arms(fit)} {_law_over_students(fit.across)} {noise[0].upper()}{noise[1:]}."
        cells, said = _with_ratios(student_table(fit.frame(), fit.level, fit.size_unit), fit)
        return Table(cells, f"{words}{said}")
    if fit.law == "learning_rate":
        verdict = f"That the rule costs less than {100 * fit.tolerance:g}% of the loss is {fit.verdict}."
        return Table(rate_table(fit.frame(), fit.level), f"{note} {verdict}")
    if fit.law == "depth":
        words = f"Verdict of {fit.curse.scheme}: whether it has the curse; of the others: whether they lift it."
        return Table(depth_table(fit), f"{note} {words} {_OTHER_WIDTHS}")
    if fit.law == "multilinguality":
        cells = _under(gain_table(fit.mean_frame(), fit.level), _published_gains(fit.level))
        return Table(cells, f"{note}{_contrasts(fit)} {_ONE_RUN}")
    if fit.law == "prepacking":
        return Table(parameter_table(fit.frame(), fit.level), _times(fit))
    if fit.law == "stability_gap":
        rows = fit.frame()
        last = rows["budget_tokens"] == rows.groupby(["base", "new"])["budget_tokens"].transform("max")
        old = rows["split"].isna() | (rows["split"] == rows["main_old"])
        words = f"Nats/token; each new text at its largest budget.{_strategies(fit)}"
        return Table(stability_gap_table(rows[last & old], fit.level), f"{note} {words}")
    exponents = _published_exponents(fit)
    return Table(parameter_table(fit.frame(), fit.level, exponents), f"{note} {_EXPONENTS}" if exponents else note)


_EXPONENTS = "Published: exponents alone, since sizes hang on text and tokenizer."
_OTHER_WIDTHS = "Published: other widths, texts and tokenizers, at as many blocks."
_ONE_RUN = "Published: one run a cell, the best ratio where similar or dissimilar languages were added."


def _published_exponents(fit: Any) -> dict[str, dict[str, float]]:
    """Exponents of the law's form by source; what is positive is a size."""
    exponents = [symbol for symbol, size in zip(fit.form.symbols, fit.form.positive, strict=True) if not size]
    return {source: {symbol: values[symbol] for symbol in exponents} for source, values in fit.form.published.items()}


def _as_printed(value: float | None) -> str:
    """Return a published number without digits that it does not have."""
    return NOTHING if value is None else f"{value:g}"


def _under(cells: pd.DataFrame, rows: list[dict[str, str]]) -> pd.DataFrame:
    """Add rows that have some of the columns."""
    return pd.concat([cells, pd.DataFrame(rows)], ignore_index=True).fillna(NOTHING)


def _with_ratios(cells: pd.DataFrame, fit: Any) -> tuple[pd.DataFrame, str]:
    """Add the published ratios of best teachers under those of language models, and where they hold."""
    if fit.loss_unit != "nats/token":
        return cells, ""
    rows = []
    for law in PUBLISHED:
        span = ", ".join(map(_as_printed, law.span))
        label = law.label + (", pruned" if law.arm == "pruned" else "")
        rows.append({str(cells.columns[0]): label, "Ratio": f"{_as_printed(law.ratio)} [{span}]"})
    said = "; ".join(f"{law.label} ({law.trust}): {law.source}" for law in PUBLISHED)
    return _under(cells, rows), f" Published ratios: {said}."


def _published_gains(level: float) -> list[dict[str, str]]:
    """Rows of Chang et al. (2024) in the columns of ``gain_table``."""
    return [
        {
            "Arm": f"Chang et al. 2024, {row['mixture'] or '1B tokens added'}",
            "$N$ (parameters)": short(row["params"]),
            "$D$ (tokens)": short(row["tokens"]),
            f"Worth, {100 * level:g}% interval": f"{2 ** row['gain']:.3g}",
            "Verdict": f"published, {row['trust']}",
        }
        for row in published_gains().to_dict("records")
    ]


def _strategies(fit: Any) -> str:
    """Say what each strategy does to the last new loss, with its Holm-corrected answer, at the largest budget."""
    c = fit.condition(fit.conditions[0].new, base=fit.conditions[0].base)
    told = [e for e in c.effects if e.outcome == "new_loss" and len(e.strategies) == 1]
    ends = [f"{e.term} {short(e.estimate.value, 2)} {interval(e.estimate.lower, e.estimate.upper)}, {e.answer}" for e in told]
    return f" Effects on the last loss on {c.new}: {'; '.join(ends)}." if ends else ""


def _contrasts(fit: Any) -> str:
    """Say what separates the arms, and where crossovers were found."""
    words = "".join(
        f" {c.first} over {c.second}: {short(_factor(c.value))} {interval(_factor(c.lower), _factor(c.upper))}, {c.answer}."
        for c in fit.contrasts
        if c.tokens is None
    ).replace("_", " ")
    inside = sum(c.tokens is not None and not c.notes for c in fit.crossovers)
    return f"{words} Crossovers within the data: {inside} of {len(fit.crossovers)}. Censored: {100 * fit.censored:.0f}%."


def _times(fit: Any) -> str:
    """Say on how many times the constants rest, and how well half of the distributions predicts the others."""
    words = f"{fit.counts.n_runs} times, {fit.counts.n_clusters} distributions of lengths."
    if fit.held_out is None:
        return words
    h = fit.held_out
    errors = f"{100 * h.median:.1f}% (median) and {100 * h.upper:.1f}% (95th percentile)"
    return f"{words} Speed-ups of distributions that were left out are {errors} off."


def _arms(fit: Any) -> str:
    """Count the runs of pruned and crossed students, and say what their square shows."""
    words = ""
    if fit.pruned:
        runs, diverged = (sum(getattr(s, name) for s in fit.pruned) for name in ("n_runs", "n_diverged"))
        words += f" Pruned: {runs} runs, {diverged} diverged."
    for square in fit.crossed:
        known = f"$p$ of bases {short(square.p_base, 2)}, of teachers {short(square.p_teacher, 2)}"
        said = known if square.status == "ok" else f"{NOT_IDENTIFIED}: {square.reason}"
        counts = f"{square.n_runs} runs with own and other teachers, {square.n_diverged} diverged"
        words += f" Crossed at {short(square.student)}: {counts}, {said}."
    return words


def _law_over_students(law: Any) -> str:
    if law.status != "ok":
        return f"Law over students {NOT_IDENTIFIED}: {law.reason}."
    b = f"$b$ = {with_uncertainty(law.b, law.b_se)} {interval(law.b_lower, law.b_upper)}"
    return f"{b}, $k$ = {short(law.k)} {interval(law.k_lower, law.k_upper)}; $b = 1$ is {law.verdict}."


def write_table(fit_path: Path, out: Path) -> None:
    """Write the table of a fit file as LaTeX, Markdown or CSV, by the ending of ``out``."""
    write_text(out, render(read_fit(fit_path), out.suffix))
