"""What the gap is explained by, as it was measured: gradients of new and old text, and how far lower and upper blocks move.

=================================  =====================================================================================
metric                             meaning
=================================  =====================================================================================
``gradient_cosine``                cosine of the gradients of the new and the old text's loss
``gradient_norm, DOMAIN``          norm of the gradient of a domain's loss
``weight_change_bottom_over_top``  relative movement of the lower half of the blocks over that of the upper half
=================================  =====================================================================================

A mechanism has to differ from the control *before* the dip is at its worst; what differs afterwards may follow from it. Guo et
al. (2024, arXiv:2406.14833) infer gradients from the curves and measure neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.fitting.seeds import Estimate, over_seeds
from analysis.laws.stability_gap_result import Gap

PROBES = ("gradient_cosine", "gradient_norm", "weight_change_bottom_over_top")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReading:
    """One metric of one arm, over seeds."""

    arm: str
    metric: str
    before: Estimate
    """At the last measurement before the minimum; none where no depth was found, or nothing was measured before it."""
    before_over_control: Estimate
    """Less the control's at the same step, seeds paired."""
    end: Estimate
    """After the last step."""


def read_probes(metrics: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``PROBES`` in the table of metrics, with the domain in the name of a norm."""
    own = metrics[metrics["metric"].isin(PROBES)]
    named = own["metric"].where(own["metric"] != "gradient_norm", own["metric"] + ", " + own["domain"])
    return own.assign(metric=named)[["run_id", "step", "tokens", "metric", "value"]]


def probe_readings(
    probes: pd.DataFrame, gaps: Mapping[str, Gap], controls: Mapping[str, str], level: float
) -> tuple[ProbeReading, ...]:
    """Read every metric of every arm.

    Parameters
    ----------
    probes : pandas.DataFrame
        ``arm``, ``seed``, ``step``, ``tokens``, ``metric``, ``value``.
    gaps : mapping
        Arm -> its gap on the old text.
    controls : mapping
        Arm -> its control.
    level : float
        Of the intervals.
    """
    found = []
    for (arm, metric), rows in probes.groupby(["arm", "metric"], sort=False):
        wide = rows.pivot_table(index="seed", columns="tokens", values="value")
        times = [int(at) for at in wide.columns.tolist()]
        gap, before, over = gaps.get(str(arm)), Estimate(None), Estimate(None)
        low = None if gap is None or gap.verdict == "none found" else gap.time_to_minimum.value
        early = [] if low is None else [at for at in times if 0 < at < low]
        if early:
            at = max(early)
            before = over_seeds(wide[at], level)
            other = probes[(probes["arm"] == controls.get(str(arm))) & (probes["metric"] == metric) & (probes["tokens"] == at)]
            over = over_seeds((wide[at] - other.set_index("seed")["value"]).dropna(), level)
        end = over_seeds(wide[max(times)], level)
        found.append(ProbeReading(arm=str(arm), metric=str(metric), before=before, before_over_control=over, end=end))
    return tuple(found)
