"""What is left of a grid costs: runs, FLOP, kept weights, and hours at a given or a recorded speed."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.standing import Standing
from trainer.flops import Parameters, count_parameters
from trainer.spec import RunSpec

_WEIGHT, _MOMENTS = 4, 8  # bytes a parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one sweep; sizes are parameters without embedding."""

    sweep: str
    runs: int
    left: int
    """Runs that are not done."""
    seeds: int
    params_least: int
    params_most: int
    tokens_left: int
    flop_left: float
    kept_gb: float
    """Weights and moments of the optimiser that all runs keep, at most: pruned models keep fewer."""
    flop_per_s: float | None
    """Of one worker: as given, or as the sweep's finished runs say, or those of all sweeps; None where none is finished."""
    hours_left: float | None
    """At that speed on all workers, evaluation included where the speed was recorded."""


def costs(found: Sequence[Standing], *, flop_per_s: float | None = None, workers: int = 1) -> list[Cost]:
    """Cost of each sweep of a plan.

    Parameters
    ----------
    found : sequence of Standing
        Where its runs stand.
    flop_per_s : float, optional
        Of one worker; recorded speeds when left out.
    workers : int
        Processes that train at once.
    """
    overall = _recorded(found)
    rows = []
    for sweep in dict.fromkeys(s.run.sweep for s in found):
        mine = [s for s in found if s.run.sweep == sweep]
        rest = [s for s in mine if not s.done]
        sizes = [_count(s.run.spec).non_embedding for s in mine]
        speed = flop_per_s or _recorded(mine) or overall
        flop_left = sum(s.flop for s in rest)
        rows.append(
            Cost(
                sweep=sweep,
                runs=len(mine),
                left=len(rest),
                seeds=len({s.run.spec.seed for s in mine}),
                params_least=min(sizes),
                params_most=max(sizes),
                tokens_left=sum(s.tokens for s in rest),
                flop_left=flop_left,
                kept_gb=sum(_kept_bytes(s.run.spec) for s in mine) / 1e9,
                flop_per_s=speed,
                hours_left=None if speed is None else flop_left / speed / workers / 3600,
            )
        )
    return rows


def _recorded(found: Sequence[Standing]) -> float | None:
    """FLOP/s of one worker in the runs that were trained to their end."""
    timed = [(s.flop, s.seconds) for s in found if s.state in ("complete", "stale") and s.seconds]
    return sum(flop for flop, _ in timed) / sum(seconds for _, seconds in timed) if timed else None


def _count(spec: RunSpec) -> Parameters:
    return count_parameters(spec.model, spec.text.tokenizer.vocab_size)


def _kept_bytes(spec: RunSpec) -> int:
    return _count(spec).total * (_WEIGHT * spec.keep_weights + _MOMENTS * spec.keep_optimizer)
