"""Tables ``runs`` and ``layers`` of the contract, of schemes and depths whose use of depth is known."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.decisions.depth_simulation import CURED, CURSED, PLAIN, Design, Truth, simulate
from tests.analysis.factories import record

__all__ = ["CURED", "CURSED", "PLAIN", "Truth", "depth_tables"]


def depth_tables(schemes: Mapping[str, Truth], *, seed: int = 0, **design: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and layers, with every column of the contract."""
    runs, layers = simulate(schemes, Design(**design), np.random.default_rng(seed))
    plain = runs.astype(object).where(runs.notna(), None).to_dict("records")
    records = [record(i, **{"sweep": "depth", **row}) for i, row in enumerate(plain)]
    layers = layers.assign(sweep="depth", tokens=1000 * layers["step"])
    return pd.DataFrame(records), layers[["sweep", "run_id", "step", "tokens", "layer", "part", "metric", "value"]]
