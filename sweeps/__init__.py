"""What to run: grids in YAML, expanded into frozen specs, run ids and shards. No torch, no fitting."""

from sweeps.plan import Plan, load_plan
from sweeps.registry import SWEEPS

__all__ = ["SWEEPS", "Plan", "load_plan"]
