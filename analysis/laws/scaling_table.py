"""A researcher's table, or arrays, as the runs of a law; what looks wrong without being wrong is a note."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.columns import drop_diverged, positive, require_columns
from analysis.fitting.result import Note
from curselab.errors import InputError

Vector = NDArray[np.float64]
Source = str | ArrayLike

_TOKENS_PER_PARAM = (1e-2, 1e6)  # outside, one of the two columns is in another unit


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs with a loss, in the order of the table."""

    inputs: Vector
    """``(n_inputs, n)``."""
    loss: Vector
    """``(n,)``."""
    clusters: NDArray[np.intp]
    weights: Vector
    """Mean one, ``(n,)``."""
    sigma: Vector | None
    """Standard deviation of each loss, where it was given."""
    n_diverged: int
    n_seeds: int
    columns: dict[str, str]
    notes: tuple[Note, ...]


def read_runs_of(
    data: Any,
    *,
    inputs: Mapping[str, Source],
    loss: Source,
    groups: Source | None,
    weights: Source | None,
    sigma: Source | None,
) -> Runs:
    """Read and check the columns of a fit.

    Parameters
    ----------
    data : DataFrame or None
        pandas, or what narwhals accepts (polars, pyarrow); None where all columns are given as arrays.
    inputs : mapping
        Column or array ``(n,)`` of each input of the law, by the law's own name for it; ``compute`` may be ``"6ND"``.
    loss, groups, weights, sigma : str or array_like
        Columns, or arrays ``(n,)``.
    """
    roles = {**inputs, "loss": loss, "groups": groups, "weights": weights, "sigma": sigma}
    frame, names = as_pandas(data, roles)
    kept, n_diverged = drop_diverged(frame)
    if len(kept) == 0:
        raise InputError("data: no run with a loss was given")
    x = np.stack([positive(kept, names[role]) for role in inputs])
    y = positive(kept, names["loss"])
    cells = pd.Series(list(zip(*x, strict=True)))
    labels = kept[names["groups"]].reset_index(drop=True) if groups is not None else cells
    missing = int(labels.isna().sum())
    if missing:
        raise InputError(f"groups: {missing} runs have no label in {names['groups']!r}, every run needs one")
    deviation = positive(kept, names["sigma"]) if sigma is not None else None
    w = np.ones(len(y)) if weights is None else positive(kept, names["weights"])
    if deviation is not None:
        if weights is not None:
            raise InputError("weights and sigma were both given; sigma (standard deviations) gives the weights 1 / sigma^2")
        w = (y / deviation) ** 2
    seeds = kept["seed"].groupby(cells.to_numpy()).nunique() if "seed" in kept else cells.value_counts()
    return Runs(
        inputs=x,
        loss=y,
        clusters=pd.factorize(labels)[0].astype(np.intp),
        weights=w / w.mean(),
        sigma=deviation,
        n_diverged=n_diverged,
        n_seeds=int(seeds.max()),
        columns={role: names[role] for role in names},
        notes=tuple(_doubts(dict(zip(inputs, x, strict=True)), y)),
    )


def as_pandas(data: Any, roles: Mapping[str, Source | None]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return a pandas table that holds every role, and the column of each role."""
    names = {role: source if isinstance(source, str) else role for role, source in roles.items() if source is not None}
    arrays = {role: np.asarray(source) for role, source in roles.items() if source is not None and not isinstance(source, str)}
    named = [names[role] for role in names if role not in arrays]
    if data is None:
        if named:
            raise InputError(f"data: no table was given, so {', '.join(map(repr, named))} must be arrays (such as params=N)")
        frame = pd.DataFrame(index=range(len(next(iter(arrays.values()), []))))
    else:
        frame = _from_any(data)
        require_columns(frame, *named)
    for role, values in arrays.items():
        if values.shape != (len(frame),):
            raise InputError(
                f"{role}: an array of shape {values.shape} was given, one value a row, ({len(frame)},), is needed"
            )
        frame = frame.assign(**{role: values})
    return frame, names


def _from_any(data: Any) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    import narwhals as nw

    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError:
        raise InputError(
            f"data: a {type(data).__name__} was given, a table (pandas, polars, pyarrow) or arrays by keyword are needed"
        ) from None
    return pd.DataFrame({name: frame[name].to_numpy() for name in frame.columns})


def _doubts(inputs: Mapping[str, Vector], loss: Vector) -> list[Note]:
    notes = []
    rows = pd.DataFrame({**inputs, "loss": loss})
    twice = int(rows.duplicated().sum())
    if twice:
        notes.append(Note("duplicated_rows", f"{twice} runs repeat another exactly: they count as evidence twice"))
    if {"params", "tokens"} <= set(inputs):
        ratio = float(np.median(inputs["tokens"] / inputs["params"]))
        if not _TOKENS_PER_PARAM[0] < ratio < _TOKENS_PER_PARAM[1]:
            notes.append(
                Note(
                    "mixed_units",
                    f"{ratio:.2g} tokens a parameter in the middle run: are both columns in units, not millions?",
                )
            )
    return notes


def doubt_sigma(sigma: Vector, loss: Vector, resid: Vector) -> list[Note]:
    """Say where ``sigma`` looks like a variance: its root fits the residuals of ln L, and it does not."""
    spread = float(np.median(np.abs(resid))) / 0.6745
    given, root = float(np.median(sigma / loss)), float(np.median(np.sqrt(sigma) / loss))
    if spread > 0 and abs(np.log(spread / given)) > np.log(5) and abs(np.log(spread / root)) < np.log(3):
        message = f"sigma has the median {given:.2g} of the loss, residuals {spread:.2g}: were variances given?"
        return [Note("sigma_looks_like_variance", message)]
    return []
