"""A fit as a LaTeX table (booktabs) that goes into a paper as it is."""

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.fit import read_fit
from curselab.files import write_text

NOT_IDENTIFIED = "not identified"


def with_uncertainty(value: float, se: float) -> str:
    """Round to two digits of the standard error, with the error in parentheses: 0.347310, 0.0155 -> ``0.347(16)``."""
    if not (math.isfinite(value) and math.isfinite(se) and se > 0):
        return short(value)
    # rounded first: 0.0996 has two digits at 0.100, not at 0.0996
    digits = 1 - math.floor(math.log10(float(f"{se:.1e}")))
    if digits < 0:
        return f"{round(value, digits):.0f}({round(se, digits):.0f})"
    error = f"{se:.{digits}f}" if se >= 1 else f"{round(se * 10**digits):d}"
    return f"{value:.{digits}f}({error})"


def short(value: float | None, digits: int = 3) -> str:
    """Round to significant digits, with powers of ten as LaTeX writes them; a dash for no number."""
    if value is None or not math.isfinite(value):
        return "--"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        rounded = float(f"{value:.{digits}g}")
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded)))) if rounded else 0
        return f"{rounded:.{decimals}f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"


def interval(lower: float | None, upper: float | None) -> str:
    """``[lower, upper]`` in significant digits."""
    return f"[{short(lower)}, {short(upper)}]"


def parameter_table(parameters: pd.DataFrame, level: float) -> pd.DataFrame:
    """Lay out the parameters of a law (columns of ``FitResult.frame``): a row each, or the words "not identified"."""
    symbols = {"alpha": r"$\alpha$", "beta": r"$\beta$"}
    rows = []
    for row in parameters.to_dict("records"):
        known = row["status"] == "ok"
        rows.append(
            {
                "Parameter": symbols.get(row["symbol"], f"${row['symbol']}$"),
                "Unit": "--" if row["unit"] == "1" else row["unit"],
                "Estimate (s.e.)": with_uncertainty(row["value"], row["se"]) if known else NOT_IDENTIFIED,
                rf"{100 * level:g}\% interval": interval(row["lower"], row["upper"]) if known else "--",
            }
        )
    return pd.DataFrame(rows)


def student_table(students: pd.DataFrame, level: float, unit: str) -> pd.DataFrame:
    """Lay out the students of the capacity gap (columns of ``CapacityGapFit.frame``), sizes in a unit."""
    rows = []
    for row in students.to_dict("records"):
        known = row["status"] == "ok"
        rows.append(
            {
                f"Student ({unit})": short(row["student"]) + (", pruned" if row["arm"] == "pruned" else ""),
                f"Best teacher ({unit})": short(row["optimum"]) if known else NOT_IDENTIFIED + _bound(row),
                rf"{100 * level:g}\% interval": interval(row["lower"], row["upper"]) if known else "--",
                "Ratio": short(row["ratio"]) if known else "--",
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
                rf"Rule's cost (\%), {100 * level:g}\% interval": f"{cost} {between}",
                "Best rate": short(row["optimum"]) if known else f"{NOT_IDENTIFIED} ({row['reasons']})".replace("_", " "),
                rf"{100 * level:g}\% interval": interval(row["lower"], row["upper"]) if known else "--",
            }
        )
    return pd.DataFrame(rows)


def depth_table(arms: pd.DataFrame, calls: Mapping[tuple[str, int], str], level: float) -> pd.DataFrame:
    """Lay out schemes and depths of the curse of depth (columns of ``DepthFit.frame``), with the verdicts."""
    rows = []
    for row in arms.to_dict("records"):
        rows.append(
            {
                "Scheme": str(row["scheme"]).replace("_", r"\_"),
                "$L$": str(row["depth"]),
                rf"Loss (nats/token), {100 * level:g}\% interval": _between(row, "loss", 4),
                "Growth of variance": row["growth"] if isinstance(row["growth"], str) else NOT_IDENTIFIED,
                "Median share": _between(row, "median_share"),
                "Deep share": _between(row, "deep_share"),
                "Verdict": calls.get((row["scheme"], row["depth"]), ""),
            }
        )
    return pd.DataFrame(rows)


def stability_gap_table(arms: pd.DataFrame, level: float) -> pd.DataFrame:
    """Lay out the arms of the largest budget on the old text (rows of ``StabilityGapSweep.frame``)."""
    rows = []
    for row in arms.to_dict("records"):
        rows.append(
            {
                "New text": str(row["new"]),
                "Arm": str(row["arm"]).replace("_", " ").replace("%", r"\%"),
                rf"Depth, {100 * level:g}\% interval": _between(row, "depth"),
                "Over control": _between(row, "excess_depth"),
                "Gap index": "--" if pd.isna(row["gap_index_lower"]) else _between(row, "gap_index"),
                "Forgotten": _between(row, "permanent"),
                "New loss": _between(row, "end_new_loss", 4),
                "Speed-up": _between(row, "end_speed_up", 2),
                "Verdict": "--" if pd.isna(row["verdict"]) else str(row["verdict"]),
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
                "$N$": short(row["params"]),
                "$D$": short(row["tokens"]),
                "Added / own": short(row["added"] / row["tokens"], 2),
                rf"Worth, {100 * level:g}\% interval": f"{short(worth[0])} {interval(*worth[1:])}",
                "Over matched": "--" if matched[0] is None else f"{short(matched[0])} {interval(*matched[1:])}",
                "Detectable": short(_factor(row["detectable"])),
                r"Censored (\%)": f"{100 * row['censored']:.0f}",
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
        return "--"
    value, lower, upper = (row[key] for key in (name, f"{name}_lower", f"{name}_upper"))
    return short(value, digits) + (
        " (no interval)" if pd.isna(lower) else f" [{short(lower, digits)}, {short(upper, digits)}]"
    )


def to_latex(table: pd.DataFrame, note: str) -> str:
    """Write a table in booktabs style with a note under it."""
    text = table.style.hide(axis="index").to_latex(hrules=True, column_format="l" * len(table.columns))
    return f"% needs \\usepackage{{booktabs}}\n{text}\\par\\smallskip{{\\footnotesize {note}}}\n"


def latex(fit: Any) -> str:
    """Lay out the result of any law as LaTeX, with the number of runs, seeds and diverged runs in its note."""
    counts = fit.counts
    note = f"{counts.n_runs} runs, {counts.n_diverged} diverged, up to {counts.n_seeds} seeds a setting."
    if fit.law == "capacity_gap":
        noise = fit.noise().replace("%", r"\%")
        words = f"{note}{_arms(fit)} {_law_over_students(fit.across)} {noise[0].upper()}{noise[1:]}."
        return to_latex(student_table(fit.frame(), fit.level, fit.size_unit), words)
    if fit.law == "learning_rate":
        verdict = rf"That the rule costs less than {100 * fit.tolerance:g}\% of the loss is {fit.verdict}."
        return to_latex(rate_table(fit.frame(), fit.level), f"{note} {verdict}")
    if fit.law == "depth":
        calls = {(verdict.scheme, verdict.depth): verdict.call for verdict in (fit.curse, *fit.lifts)}
        words = f"Verdict of {fit.curse.scheme}: whether it has the curse; of the others: whether they lift it."
        return to_latex(depth_table(fit.frame(), calls, fit.level), f"{note} {words}")
    if fit.law == "multilinguality":
        return to_latex(gain_table(fit.mean_frame(), fit.level), f"{note}{_contrasts(fit)}")
    if fit.law == "prepacking":
        return to_latex(parameter_table(fit.frame(), fit.level), _times(fit))
    if fit.law == "stability_gap":
        rows = fit.frame()
        last = rows["budget_tokens"] == rows.groupby(["base", "new"])["budget_tokens"].transform("max")
        old = rows["split"].isna() | (rows["split"] == rows["main_old"])
        words = f"Nats/token; each new text at its largest budget.{_strategies(fit)}"
        return to_latex(stability_gap_table(rows[last & old], fit.level), f"{note} {words}")
    return to_latex(parameter_table(fit.frame(), fit.level), note)


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
    return rf"{words} Crossovers within the data: {inside} of {len(fit.crossovers)}. Censored: {100 * fit.censored:.0f}\%."


def _times(fit: Any) -> str:
    """Say on how many times the constants rest, and how well half of the distributions predicts the others."""
    words = f"{fit.counts.n_runs} times, {fit.counts.n_clusters} distributions of lengths."
    if fit.held_out is None:
        return words
    h = fit.held_out
    errors = rf"{100 * h.median:.1f}\% (median) and {100 * h.upper:.1f}\% (95th percentile)"
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
    """Write a fit file as a LaTeX table."""
    write_text(out, latex(read_fit(fit_path)))
