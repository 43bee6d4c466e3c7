"""Histories of Weights & Biases as CSV: exported from a chart, or written from the history of a run.

A chart's export has a column ``RUN - METRIC`` a run, and its smallest and largest value in ``__MIN`` and ``__MAX``.
"""

import csv
import io
from pathlib import Path
from typing import Unpack

import pandas as pd

from analysis.imports.evaluations import How, Names, content_id, no_such, to_metrics
from curselab.errors import InputError


def read_wandb_csv(path: str | Path, names: Names, *, step: str, **how: Unpack[How]) -> pd.DataFrame:
    """Read the history of one run from a CSV export of Weights & Biases.

    Parameters
    ----------
    path : str or Path
        The file.
    names : mapping
        What was logged by column, such as ``{"eval/loss": "loss_nats_per_token"}``; in a chart's export, ``RUN - eval/loss``.
    step : str
        Column of the optimiser step, such as ``train/global_step`` or ``trainer/global_step``. ``Step`` and ``_step`` count
        calls of ``wandb.log`` unless a step was passed to it.
    **how
        ``tokens`` of a step, or the column that counts them; see :class:`analysis.imports.evaluations.How`.

    Returns
    -------
    pandas.DataFrame
        The contract's table ``metrics``.

    Raises
    ------
    InputError
        The file is no table, the export has averaged over steps or runs, or see
        :func:`analysis.imports.evaluations.to_metrics`.

    Notes
    -----
    Charts and ``run.history()`` sample long histories; ``pandas.DataFrame(run.scan_history()).to_csv(path)`` has all.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, a CSV export is needed") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path}: not a CSV table in UTF-8") from None
    if not rows or any(None in row for row in rows):
        raise InputError(f"{path}: a header and rows of as many cells are needed")
    if step not in rows[0]:
        raise no_such(step, rows[0], path)
    for name in names:
        _check_not_averaged(rows, name, step, path)
    # an empty cell was not logged, a NaN was
    points = [(row[step], name, value) for row in rows for name, value in row.items() if value and row[step]]
    # one export holds several runs, which their columns tell apart
    run_id = content_id(content + "\n".join(sorted(names)).encode())
    return to_metrics(points, names, known=rows[0], run_id=run_id, where=path, **how)


def _check_not_averaged(rows: list[dict[str, str]], name: str, step: str, where: Path) -> None:
    for row in rows:
        low, high = row.get(f"{name}__MIN"), row.get(f"{name}__MAX")
        if low != high:
            raise InputError(
                f"{where}: {name} is an average of {low} to {high} at {step} {row[step]}; export it ungrouped and not binned,"
                " or write the run's scan_history()"
            )
