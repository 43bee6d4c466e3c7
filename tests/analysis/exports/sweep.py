"""Two runs of a sweep, one of which diverged before it was evaluated."""

import pandas as pd

from curselab.contract import check_frame
from tests.analysis.factories import frame, record

RUNS = check_frame("runs", frame([record(0), record(1, status="diverged")]), where="runs")


def _row(step: int, split: str, domain: str, metric: str, value: float) -> dict[str, object]:
    key = {"sweep": "scaling", "run_id": "0" * 12, "step": step, "tokens": 1000 * step}
    return key | {"split": split, "domain": domain, "metric": metric, "value": value}


METRICS = check_frame(
    "metrics",
    pd.DataFrame(
        [
            _row(0, "validation", "all", "loss_nats_per_token", 5.5),
            _row(100, "validation", "all", "loss_nats_per_token", 2.5),
            _row(100, "validation", "old", "loss_nats_per_token", 0.1 + 0.2),  # no float of 32 bits
            _row(100, "train", "all", "learning_rate", 1e-3),
        ]
    ),
    where="metrics",
)
