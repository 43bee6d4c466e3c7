"""Tables of runs and layers as cells: one scheme at one depth, each seed at a learning rate that the other seeds chose."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.columns import drop_diverged, positive, require_columns
from analysis.fitting.result import Note
from curselab.errors import InputError

Vector = NDArray[np.float64]

PLAIN = "plain"
"""Initialisation that a scheme's name leaves out."""

_LAYERS = ("run_id", "step", "layer", "part", "metric", "value")

# what must not differ between schemes and depths, or the comparison is of something else
_FIXED = ("tokens", "width", "context", "objective", "split", "tokenizer", "text_sha256", "eval_tokens")


@dataclass(frozen=True, slots=True)
class Cell:
    """Runs of one scheme at one depth; one run a seed."""

    scheme: str
    depth: int
    seeds: tuple[Any, ...]
    run_ids: tuple[str | None, ...]
    """Of each seed at its rate; None where that run diverged or is absent."""
    rates: tuple[float, ...]
    """Learning rate of each seed, chosen by the others; NaN where none can be."""
    losses: Vector
    """nats/token, ``(n_seeds,)``; NaN where there is no run."""
    n_runs: int
    """At all rates."""
    n_diverged: int
    notes: tuple[Note, ...]

    @property
    def alive(self) -> bool:
        """Whether any seed has a loss."""
        return bool(np.isfinite(self.losses).any())


@dataclass(frozen=True, slots=True)
class Layers:
    """The long table of layers, ready to be looked up."""

    values: Mapping[tuple[str, str], pd.DataFrame]
    """By metric and part: rows by run and step, columns by layer."""

    def profiles(self, cell: Cell, metric: str, part: str = "block", *, first: bool = False) -> Vector | None:
        """Values of each seed over layers at its last step, or its first.

        Returns
        -------
        numpy.ndarray or None
            ``(n_seeds, n_layers)`` from the lowest layer, NaN for a seed without a run; None where nothing was measured.
        """
        table = self.values.get((metric, part))
        if table is None:
            return None
        found = [None if run is None or run not in table.index else _of(table, run) for run in cell.run_ids]
        rows = [None if frame is None else frame.iloc[0 if first else -1].dropna() for frame in found]
        known = [row for row in rows if row is not None and len(row)]
        if not known:
            return None
        layers = known[0].index
        if any(not row.index.equals(layers) for row in known):
            raise InputError(
                f"layers: {metric} of {cell.scheme} at depth {cell.depth} has different layers in different seeds"
            )
        blank = np.full(len(layers), np.nan)
        return np.array([blank if row is None or not len(row) else row.to_numpy(dtype=float) for row in rows])

    def over_steps(self, cell: Cell, metric: str, part: str = "block") -> tuple[Vector, Vector] | None:
        """Steps above zero ``(n,)`` and values of the highest layer ``(n_seeds, n)``, of seeds with a run alone."""
        table = self.values.get((metric, part))
        runs = [run for run in cell.run_ids if run is not None and table is not None and run in table.index]
        if table is None or not runs:
            return None
        frames = [_of(table, run).dropna(axis=1, how="all") for run in runs]
        last = pd.concat([frame[frame.columns[-1]] for frame in frames], axis=1, join="inner").dropna()
        last = last[last.index > 0]
        return last.index.to_numpy(dtype=float), last.to_numpy(dtype=float).T


def _of(table: pd.DataFrame, run: str) -> pd.DataFrame:
    """Steps by layers of one run."""
    return table.loc[[run]].droplevel(0)


def read_layers(layers: pd.DataFrame) -> Layers:
    """Index the long table of layers.

    Raises
    ------
    InputError
        A column is missing, or a value stands twice.
    """
    require_columns(layers, *_LAYERS)
    keys = ["run_id", "step", "layer", "part", "metric"]
    twice = layers.duplicated(keys)
    if twice.any():
        row = layers.loc[twice, keys].iloc[0]
        raise InputError(
            f"layers: {row['metric']} of run {row['run_id']}, step {row['step']}, layer {row['layer']} stands twice"
        )
    return Layers(
        {
            (str(metric), str(part)): group.pivot_table(index=["run_id", "step"], columns="layer", values="value").sort_index()
            for (metric, part), group in layers.assign(run_id=layers["run_id"].astype(str)).groupby(["metric", "part"])
        }
    )


def read_cells(runs: pd.DataFrame, names: Mapping[str, str]) -> Iterator[Cell]:
    """Cells of a table of runs, by scheme in the order of the table and by rising depth.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row a run.
    names : mapping
        Column of each role: scheme, depth, learning_rate, seed, loss. Columns ``initialisation`` and ``status`` are read where
        they are there.

    Raises
    ------
    InputError
        A column is missing, a number is not positive, or runs differ in more than scheme, depth, rate and seed.
    """
    require_columns(runs, "run_id", *names.values())
    if runs.empty:
        raise InputError("data: no rows were given, one row a run is needed")
    for name in _FIXED:
        values = sorted(runs[name].dropna().unique()) if name in runs else []
        if len(values) > 1:
            raise InputError(f"data: runs of different {name} ({', '.join(map(str, values[:3]))}); fit each on its own")
    for role in ("depth", "learning_rate"):
        positive(runs, names[role])
    positive(drop_diverged(runs)[0], names["loss"])
    scheme = runs[names["scheme"]].astype(str)
    if "initialisation" in runs:
        initial = runs["initialisation"].fillna(PLAIN).astype(str)
        # a scheme's own initialisation goes without saying
        scheme = scheme.where((initial == PLAIN) | (initial == scheme), scheme + " + " + initial + " init")
    for label in scheme.unique():
        mine = runs[scheme == label]
        for depth in sorted(mine[names["depth"]].unique()):
            yield _cell(mine[mine[names["depth"]] == depth], str(label), int(depth), names)


def _cell(runs: pd.DataFrame, scheme: str, depth: int, names: Mapping[str, str]) -> Cell:
    _, n_diverged = drop_diverged(runs)
    if runs.duplicated([names["seed"], names["learning_rate"]]).any():
        raise InputError(f"data: {scheme} at depth {depth} has two runs of one seed and learning rate")
    seeds, row = np.unique(runs[names["seed"]].to_numpy(), return_inverse=True)
    rates, column = np.unique(runs[names["learning_rate"]].to_numpy(dtype=float), return_inverse=True)
    # a run that diverged is worse than any other, one that is absent is unknown
    table = np.full((len(seeds), len(rates)), np.nan)
    table[row, column] = runs[names["loss"]].to_numpy(dtype=float, na_value=np.inf)
    ids = np.full(table.shape, None, dtype=object)
    ids[row, column] = runs["run_id"].astype(str).to_numpy()
    chosen = choose_rates(table)
    kept = [None if i is None or not np.isfinite(table[s, i]) else (s, i) for s, i in enumerate(chosen)]
    return Cell(
        scheme=scheme,
        depth=depth,
        seeds=tuple(seeds.tolist()),
        run_ids=tuple(None if place is None else ids[place] for place in kept),
        rates=tuple(float("nan") if i is None else float(rates[i]) for i in chosen),
        losses=np.array([np.nan if place is None else table[place] for place in kept]),
        n_runs=len(runs),
        n_diverged=n_diverged,
        notes=tuple(_notes(scheme, depth, rates, chosen, [place is None for place in kept])),
    )


def choose_rates(losses: Vector) -> list[int | None]:
    """Choose the rate of each seed by the mean loss of the other seeds, so that no seed's luck chooses for itself.

    Parameters
    ----------
    losses : numpy.ndarray
        ``(n_seeds, n_rates)``, infinite where a run diverged, NaN where it is absent.

    Returns
    -------
    list of int or None
        Position of each seed's rate; None where every rate has a run that diverged or is absent among the other seeds. One
        seed has no others and takes its own lowest.
    """
    chosen: list[int | None] = []
    for seed in range(len(losses)):
        others = np.delete(losses, seed, axis=0) if len(losses) > 1 else losses
        means = np.where(np.isnan(others).any(axis=0), np.inf, others.mean(axis=0))
        chosen.append(int(means.argmin()) if np.isfinite(means).any() else None)
    return chosen


def _notes(scheme: str, depth: int, rates: Vector, chosen: Sequence[int | None], lost: Sequence[bool]) -> Iterator[Note]:
    where = f"{scheme} at depth {depth}"
    if any(lost):
        yield Note("seeds_lost", f"{where}: {sum(lost)} of {len(lost)} seeds have no run at their rate, so they have no loss")
    if len(chosen) == 1 and len(rates) > 1:
        yield Note("winners_curse", f"{where}: one seed chose its own rate, so its loss is too low")
    if len(rates) > 1 and {0, len(rates) - 1} & set(chosen):
        yield Note("rate_at_end", f"{where}: the best learning rate is at an end of those run")
    if len(set(chosen)) > 1:
        yield Note("rates_differ", f"{where}: seeds choose different learning rates, so the bracket is flat or noisy")
