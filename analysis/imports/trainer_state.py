"""The state of a Hugging Face ``Trainer``, which holds all that it logged."""

import json
from pathlib import Path
from typing import Unpack

import pandas as pd

from analysis.imports.evaluations import How, Names, content_id, to_metrics
from curselab.errors import InputError


def read_trainer_state(path: str | Path, names: Names, **how: Unpack[How]) -> pd.DataFrame:
    """Read a ``trainer_state.json``, which lies in every checkpoint of transformers' ``Trainer``.

    Parameters
    ----------
    path : str or Path
        The file.
    names : mapping
        What was logged by name, such as ``{"eval_old_loss": ("loss_nats_per_token", "old")}``.
    **how
        ``tokens`` of a step, or their count (``num_input_tokens_seen``, which counts pads unless told not to); see
        :class:`analysis.imports.evaluations.How`.

    Returns
    -------
    pandas.DataFrame
        The contract's table ``metrics``.

    Raises
    ------
    InputError
        The file is no such state, or see :func:`analysis.imports.evaluations.to_metrics`.

    Notes
    -----
    ``eval_loss`` is a mean over batches by their rows: nats per token where all rows have as many labels, as packed ones do.
    ``loss`` is the mean since it was last logged.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        history = json.loads(content)["log_history"]
        points = [(entry["step"], name, value) for entry in history for name, value in entry.items() if name != "step"]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, a trainer_state.json is needed (it lies in each checkpoint)") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: not the state of a Trainer, 'log_history' with a step in each entry is needed") from None
    return to_metrics(points, names, known={p[1] for p in points}, run_id=content_id(content), where=path, **how)
