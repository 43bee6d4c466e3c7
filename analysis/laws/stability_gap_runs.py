"""The sweep ``stability_gap`` in the columns of the contract, as one evaluation log a condition.

A condition is what arms share: stage of the base, size of the model, budget and new text. Old text is what the base's mixture
names, and new text what an arm's mixture adds to it; its largest new domain gives the condition its name. Arms on old text
alone are controls of every new text, or, on another path, of those whose arms take it. Runs from scratch on the new text are
references at the end.

The strategies of an arm follow from its mixture: :mod:`analysis.laws.stability_gap_mixture`.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.columns import require_columns
from analysis.laws.stability_gap_mixture import OTHER_PATHS, Arm, Row, arms_of, read_mixture
from analysis.laws.stability_gap_probes import read_probes
from curselab.errors import InputError

LOSS, ACCURACY = "loss_nats_per_token", "accuracy_share"

_NEEDED = ("run_id", "stage", "status", "base_id", "seed", "params_non_embedding", "tokens", "mixture", "train_flop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Arms that share base, size, budget and new text."""

    base: str
    new: str
    old: tuple[str, ...]
    """Domains of the base, the largest first."""
    params: int
    tokens: int
    arms: tuple[Arm, ...]
    log: pd.DataFrame
    """One row an evaluation: ``arm``, ``seed``, ``split`` (domain), ``step``, ``tokens``, ``learning_rate`` and metrics."""
    probes: pd.DataFrame
    """Rows of :mod:`analysis.laws.stability_gap_probes`: ``arm``, ``seed``, ``step``, ``tokens``, ``metric``, ``value``."""
    references: pd.DataFrame
    """Last evaluations of runs from scratch: ``arm``, ``seed``, ``split`` and the metrics."""

    @property
    def name(self) -> str:
        """Base and new text, such as ``annealed to code``."""
        return f"{self.base} to {self.new}"


def read_conditions(runs: pd.DataFrame, metrics: pd.DataFrame) -> list[Condition]:
    """Split a sweep into conditions, from the smallest budget to the largest.

    Parameters
    ----------
    runs, metrics : pandas.DataFrame
        Tables of the contract.

    Returns
    -------
    list of Condition
        Diverged runs are counted in their arms and are in no log.

    Raises
    ------
    InputError
        A column or a base is missing, a base names no mixture, two runs of an arm have one seed, or a run has no start.
    """
    require_columns(runs, *_NEEDED)
    require_columns(metrics, "run_id", "step", "tokens", "split", "domain", "metric", "value")
    rows = _with_bases(runs)
    curves, probes = _curves(rows, metrics), read_probes(metrics)
    shared: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if row["new"]:
            shared.setdefault(_place(row) + (row["new"],), []).append(row)
    found = []
    for key, own in shared.items():
        stages = {row["stage"] for row in own}
        controls = [row for row in rows if row["base"] and not row["new"] and _place(row) == key[:-1]]
        controls = [row for row in controls if row["stage"] in stages or row["stage"] not in OTHER_PATHS]
        found.append(_condition([*controls, *own], curves, probes, [row for row in rows if not row["base"]]))
    if not found:
        raise InputError("data: no run goes on from a base with new text (stages whose runs have a base_id)")
    return sorted(found, key=lambda c: (c.tokens, c.params, c.name))


def _place(row: Row) -> tuple[Any, ...]:
    return row["base"], row["params_non_embedding"], row["tokens"]


def _with_bases(runs: pd.DataFrame) -> list[Row]:
    """Runs that are nobody's base, with the stage of their own base, its domains, and the domain that they add most of."""
    by_id = {row["run_id"]: row for row in runs.to_dict("records")}
    bases = set(runs["base_id"].dropna())
    missing = sorted(bases - by_id.keys())
    if missing:
        raise InputError(f"data: run {missing[0]} is the base of others and not in the table, its stage must be there")
    rows = []
    for run_id, run in by_id.items():
        if run_id in bases:
            continue
        start, parts = run["base_id"] if isinstance(run["base_id"], str) else None, read_mixture(run["mixture"])
        before = read_mixture(by_id[start]["mixture"]) if start else {}
        if start and not before:
            raise InputError(f"data: base {start} names no mixture, so its old text is not known (set training.mixture)")
        old = tuple(sorted(before, key=lambda domain: -before[domain].share))
        added = [domain for domain in parts if domain not in old] if start else []
        own = {"start": start, "parts": parts, "old": old, "base": by_id[start]["stage"] if start else ""}
        own |= {"new": max(added, key=lambda domain: parts[domain].share) if added else ""}
        own |= {"unit": (by_id[start]["seed"] if start else run["seed"], run["seed"])}
        rows.append({str(name): value for name, value in run.items()} | own)
    return rows


def _condition(members: list[Row], curves: pd.DataFrame, probes: pd.DataFrame, scratch: list[Row]) -> Condition:
    first = members[-1]  # controls, which come before, add no text
    arms = arms_of(members)
    seeds = {unit: i for i, unit in enumerate(sorted({row["unit"] for row in members}))}
    domains = {*first["old"], first["new"]}
    logs, names = [], []
    for name, rows in arms.values():
        twice = [unit for unit, n in Counter(row["unit"] for row in rows).items() if n > 1]
        if twice:
            raise InputError(
                f"data: arm {name.name!r} has two runs of seed {twice[0][1]} at {first['tokens']} tokens;"
                " what they differ in must be a stage of its own"
            )
        alive = [row for row in rows if row["status"] == "ok"]
        names += [(row["run_id"], name.name, seeds[row["unit"]]) for row in alive]
        logs += [_log(row, curves, domains).assign(arm=name.name, seed=seeds[row["unit"]]) for row in alive]
    if not logs:
        raise InputError(f"data: every run of {first['base']} to {first['new']} at {first['tokens']} tokens diverged")
    same = [r for r in scratch if first["new"] in r["parts"] and r["params_non_embedding"] == first["params_non_embedding"]]
    same = [r for r in same if r["status"] == "ok" and r["tokens"] == first["tokens"]]
    ends = [_last(row, curves, domains) for row in same]
    log = pd.concat(logs, ignore_index=True)
    return Condition(
        base=first["base"],
        new=first["new"],
        old=first["old"],
        params=int(first["params_non_embedding"]),
        tokens=int(first["tokens"]),
        arms=tuple(arm for arm, _ in arms.values()),
        log=log,
        probes=probes.merge(pd.DataFrame(names, columns=["run_id", "arm", "seed"]), on="run_id").drop(columns="run_id"),
        references=pd.concat(ends, ignore_index=True) if ends else log.iloc[:0],
    )


def _curves(rows: list[Row], metrics: pd.DataFrame) -> pd.DataFrame:
    """Evaluations of all runs and bases, by run: ``split``, ``step``, ``tokens``, ``learning_rate`` and metrics."""
    wanted = {row["run_id"] for row in rows} | {row["start"] for row in rows}
    own = metrics[metrics["run_id"].isin(wanted)]
    scored = own[(own["split"] == "validation") & own["metric"].isin([LOSS, ACCURACY])]
    keys = ["run_id", "domain", "step", "tokens"]
    wide = scored.pivot_table(index=keys, columns="metric", values="value", aggfunc="first").reset_index()
    rates = own.loc[own["metric"] == "learning_rate", ["run_id", "step", "value"]]
    joined = wide.merge(rates.rename(columns={"value": "learning_rate"}), on=["run_id", "step"], how="left")
    return pd.DataFrame(joined.rename(columns={"domain": "split"}).set_index("run_id").sort_values(["split", "step"]))


def _log(row: Row, curves: pd.DataFrame, domains: set[str]) -> pd.DataFrame:
    """Evaluations of a run from before its first step, or from the end of its base."""
    own = _of(row["run_id"], curves, domains)
    missing = set(own["split"]) - set(own.loc[own["step"] == 0, "split"])
    parts = [own]
    if missing:
        known = row["start"] in curves.index
        last = _last(row | {"run_id": row["start"]}, curves, missing) if known else own.iloc[:0]
        if set(last["split"]) != missing:
            raise InputError(
                f"data: run {row['run_id']} has no evaluation of {', '.join(sorted(missing))} before its first step, and its"
                f" base {row['start']} none at its end (evaluation.every_step_until above 0 makes a run evaluate its start)"
            )
        parts.append(last[own.columns].assign(step=0, tokens=0, learning_rate=np.nan))
    log = pd.concat(parts).sort_values(["split", "step"])
    return pd.DataFrame(log.assign(learning_rate=log.groupby("split")["learning_rate"].bfill()))


def _last(row: Row, curves: pd.DataFrame, domains: set[str]) -> pd.DataFrame:
    own = _of(row["run_id"], curves, domains)
    return pd.DataFrame(own[own["step"] == own["step"].max()].assign(arm=row["stage"], seed=row["seed"]))


def _of(run_id: str, curves: pd.DataFrame, domains: set[str]) -> pd.DataFrame:
    if run_id not in curves.index:
        raise InputError(f"data: run {run_id} has no evaluations in the table of metrics")
    own = curves.loc[[run_id]].reset_index(drop=True)
    return pd.DataFrame(own[own["split"].isin(domains)])
