"""Points of a log of another trainer as the contract's table ``metrics``, and that table as an evaluation log.

A log says no units, so whoever reads it does, name by name:

========================  ========================  ==========================================
what was logged           metric of the contract    split and conversion
========================  ========================  ==========================================
loss_nats_per_token       loss_nats_per_token       validation
loss_bits_per_token       loss_nats_per_token       validation, times ln 2
perplexity_per_token      loss_nats_per_token       validation, its logarithm
loss_bits_per_byte        loss_bits_per_byte        validation
accuracy_share            accuracy_share            validation
accuracy_percent          accuracy_share            validation, over 100
objective_nats_per_token  objective_nats_per_token  train, the loss that is trained on
learning_rate             learning_rate             train
========================  ========================  ==========================================
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Required, TypedDict

import numpy as np
import pandas as pd

from curselab.contract import check_frame
from curselab.errors import InputError

Names = Mapping[str, str | tuple[str, str]]
"""Name in the log -> what was logged, or that and the domain it was measured on."""
Repeated = Literal["refuse", "last"]

VALIDATION, TRAIN, ALL = "validation", "train", "all"
_LOGGED: dict[str, tuple[str, str, Callable[[float], float]]] = {
    "loss_nats_per_token": ("loss_nats_per_token", VALIDATION, float),
    "loss_bits_per_token": ("loss_nats_per_token", VALIDATION, lambda bits: bits * float(np.log(2))),
    "perplexity_per_token": ("loss_nats_per_token", VALIDATION, lambda perplexity: float(np.log(perplexity))),
    "loss_bits_per_byte": ("loss_bits_per_byte", VALIDATION, float),
    "accuracy_share": ("accuracy_share", VALIDATION, float),
    "accuracy_percent": ("accuracy_share", VALIDATION, lambda percent: percent / 100),
    "objective_nats_per_token": ("objective_nats_per_token", TRAIN, float),
    "learning_rate": ("learning_rate", TRAIN, float),
}


class How(TypedDict, total=False):
    """Keywords of every reader."""

    tokens: Required[float | str]
    """Training tokens of one step, or the name under which the log counts them."""
    start: int
    """Step of the log at which the run begins, 0 by default: steps and tokens are counted from there, and what lies before is
    left out. For runs that go on from a checkpoint with its count of steps."""
    repeated: Repeated
    """``refuse``, the default, or keep the ``last`` of several values of one step, as of a run that was started again."""
    sweep: str
    """Name of the sweep in the table, ``imported`` by default."""


def to_metrics(
    points: Iterable[tuple[Any, str, Any]],
    names: Names,
    *,
    known: Collection[str],
    run_id: str,
    where: Path,
    tokens: float | str,
    start: int = 0,
    repeated: Repeated = "refuse",
    sweep: str = "imported",
) -> pd.DataFrame:
    """Bring the points of one run into the contract's table ``metrics``.

    Parameters
    ----------
    points : iterable of tuple
        Step, name in the log and value, in the order in which they were written.
    names : mapping
        Name in the log -> what was logged, or that and the domain.
    known : collection of str
        All names of the log.
    run_id : str
        Of the run, see ``content_id``.
    where : Path
        The log, for errors.
    tokens, start, repeated, sweep
        See ``How``.

    Raises
    ------
    InputError
        A name is not in the log, what was logged is not in the list above, two names mean the same, a step has two values, a
        value or step is no finite number, or an evaluation has no count of tokens.
    """
    if repeated not in ("refuse", "last"):
        raise InputError(f"repeated: {repeated!r} was given (allowed: refuse, last)")
    if not isinstance(tokens, str) and not 0 < tokens < np.inf:
        raise InputError(f"tokens: {tokens!r} was given, the tokens of a step or the name of their count is needed")
    wanted = {name: (what, ALL) if isinstance(what, str) else what for name, what in names.items()}
    count = tokens if isinstance(tokens, str) else None
    _check_names(wanted, known, where, [] if count is None else [count])
    values = _by_step((p for p in points if p[1] in wanted or p[1] == count), repeated, where)
    rows = []
    for (name, step), value in values.items():
        if name in wanted and step >= start:
            what, domain = wanted[name]
            metric, split, convert = _LOGGED[what]
            _check_value(value, what, f"{where}: {name} at step {step}")
            seen = _tokens_at(step, tokens, values, where) - _tokens_at(start, tokens, values, where)
            rows.append((sweep, run_id, step - start, seen, split, domain, metric, convert(value)))
    if not rows:
        raise InputError(f"{where}: nothing is logged at step {start} or later")
    columns = ["sweep", "run_id", "step", "tokens", "split", "domain", "metric", "value"]
    return check_frame("metrics", pd.DataFrame(rows, columns=columns), where=where)


def evaluation_log(metrics: pd.DataFrame) -> pd.DataFrame:
    """Lay out the table ``metrics`` as one row an evaluation, as ``fit_stability_gap`` reads it.

    Parameters
    ----------
    metrics : pandas.DataFrame
        Of one run or of several.

    Returns
    -------
    pandas.DataFrame
        ``run_id``, ``split`` (the domain), ``step``, ``tokens``, ``learning_rate`` (on straight lines between the steps where
        it is logged, beyond them that of the nearest; NaN where it never is) and the metrics of the validation split.
    """
    keys = ["run_id", "domain", "step", "tokens"]
    scored = metrics[metrics["split"] == VALIDATION]
    wide = scored.pivot_table(index=keys, columns="metric", values="value").reset_index().rename_axis(columns=None)
    rates = metrics[metrics["metric"] == "learning_rate"].sort_values("step")
    wide.insert(len(keys), "learning_rate", np.nan)
    for run_id, own in rates.groupby("run_id"):
        at = wide["run_id"] == run_id
        wide.loc[at, "learning_rate"] = np.interp(wide.loc[at, "step"].astype(float), own["step"].astype(float), own["value"])
    return wide.rename(columns={"domain": "split"})


def content_id(content: bytes) -> str:
    """Return the run id of a log, which its content decides: a log that is read twice is the same run."""
    return hashlib.sha256(content).hexdigest()[:12]


def no_such(name: str, known: Collection[str], where: Path) -> InputError:
    """Say what the log has in the place of a name that it lacks."""
    near = get_close_matches(name, sorted(known), n=3, cutoff=0.4) or sorted(known)[:5]
    return InputError(f"{where}: nothing is logged as {name!r} (there is {', '.join(map(repr, near)) or 'nothing'})")


def _check_names(wanted: Mapping[str, tuple[str, str]], known: Collection[str], where: Path, more: list[str]) -> None:
    if not wanted:
        raise InputError("names: none was given, one or more are needed, such as {'eval_loss': 'loss_nats_per_token'}")
    for name in [*wanted, *more]:
        if name not in known:
            raise no_such(name, known, where)
    meaning: dict[tuple[str, str], str] = {}
    for name, (what, domain) in wanted.items():
        if what not in _LOGGED:
            raise InputError(f"names: {name!r} was said to be {what!r} (allowed: {', '.join(_LOGGED)}; units are part of it)")
        other = meaning.setdefault((_LOGGED[what][0], domain), name)
        if other != name:
            raise InputError(f"names: {other!r} and {name!r} are both {what} of {domain}, so one needs another domain")


def _by_step(points: Iterable[tuple[Any, str, Any]], repeated: Repeated, where: Path) -> dict[tuple[str, int], float]:
    """Values by name and step."""
    found: dict[tuple[str, int], float] = {}
    for raw, name, logged in points:
        step, value = _number(raw), _number(logged)
        if step is None or step < 0 or step % 1:
            raise InputError(f"{where}: {name} is logged at step {raw!r}, a whole number is needed")
        if value is None:
            raise InputError(f"{where}: {name} is {logged!r} at step {raw}, a number is needed")
        before = found.get((name, int(step)), value)
        if before != value and repeated == "refuse" and not (np.isnan(before) and np.isnan(value)):
            raise InputError(
                f"{where}: {name} is {before:g} and {value:g} at step {int(step)}; of a run that was started again,"
                " repeated='last' keeps the last"
            )
        found[name, int(step)] = value
    return found


def _number(raw: Any) -> float | None:
    try:
        return None if isinstance(raw, bool) else float(raw)
    except (TypeError, ValueError, OverflowError):
        return None


def _check_value(value: float, what: str, where: str) -> None:
    if not np.isfinite(value):
        raise InputError(f"{where} is {value}: a run that diverged has no evaluations, leave it out and say so")
    if what == "perplexity_per_token" and value < 1:
        raise InputError(f"{where} is {value:g}, a perplexity is 1 or more (is it a loss?)")
    if value < 0:
        raise InputError(f"{where} is {value:g}, {what} is 0 or more")
    if what.startswith("accuracy") and value > (most := 1 if what == "accuracy_share" else 100):
        raise InputError(f"{where} is {value:g}, {what} is {most} or less")


def _tokens_at(step: int, tokens: float | str, values: Mapping[tuple[str, int], float], where: Path) -> int:
    if not isinstance(tokens, str):
        return round(step * tokens)
    if step == 0:
        return 0
    if (tokens, step) not in values:
        raise InputError(f"{where}: {tokens} is not logged at step {step} (give the tokens of one step as a number)")
    return round(values[tokens, step])
