"""What is left of a grid costs: runs, FLOP, memory, storage, and hours at a given or a recorded speed."""

from collections.abc import Sequence
from dataclasses import dataclass

from curselab.errors import InputError
from sweeps.plan import Plan
from sweeps.standing import Standing
from trainer.flops import Parameters, count_parameters
from trainer.spec import RunSpec
from trainer.text_spec import HuggingFaceText, SeveralText, TextSpec

PEAKS = {"a100": 312e12, "l40s": 362e12, "h100": 989e12, "h200": 989e12, "b200": 2250e12}
"""FLOP/s of dense bfloat16 products of a GPU, as its maker states them."""
UTILISATION = 0.3  # of the peak, assumed; large models reach more, those of a few million parameters far less

_WEIGHT, _MOMENTS = 4, 8  # bytes a parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one sweep; sizes are parameters without embedding."""

    sweep: str
    runs: int
    left: int
    """Runs that are not done."""
    jobs: int
    """Shards of these: jobs on a cluster."""
    seeds: int
    params_least: int
    params_most: int
    tokens_left: int
    flop_left: float
    device_gb: float
    """Memory of one device that a run needs, at most, to within a factor of two."""
    kept_gb: float
    """Weights and moments of the optimiser that all runs keep, at most: pruned models keep fewer."""
    checkpoint_gb: float
    """Of the largest run while it trains: its last checkpoint, and the one before."""
    flop_per_s: float | None
    """Of one device: as given, or as the sweep's finished runs say, or those of all sweeps; None where none is finished."""
    gpu_hours_left: float | None
    """At that speed; None where it is not known, 0 without runs on GPUs."""
    hours_left: float | None
    """At that speed on all workers, evaluation included where the speed was recorded."""


def speed_of(gpu: str) -> float:
    """FLOP/s to plan with on a GPU that :data:`PEAKS` names.

    Raises
    ------
    InputError
        It is not among them.
    """
    try:
        return UTILISATION * PEAKS[gpu]
    except KeyError:
        raise InputError(f"gpu {gpu!r}: not known (allowed: {', '.join(PEAKS)}; or give --flop-per-s)") from None


def hub_gb(plan: Plan) -> float:
    """Text that is read from the Hugging Face Hub, at most."""
    return sum(map(_hub_bytes, plan.texts.values())) / 1e9


def costs(plan: Plan, found: Sequence[Standing], *, flop_per_s: float | None = None, workers: int = 1) -> list[Cost]:
    """Cost of each sweep of a plan.

    Parameters
    ----------
    plan : Plan
    found : sequence of Standing
        Where its runs stand.
    flop_per_s : float, optional
        Of one device, a core or a GPU; recorded speeds when left out.
    workers : int
        Runs that are trained at once, each on all its devices.
    """
    overall = _recorded(found)
    rows = []
    for sweep in dict.fromkeys(s.run.sweep for s in found):
        mine = [s for s in found if s.run.sweep == sweep]
        rest = [s for s in mine if not s.done]
        sizes = [_count(s.run.spec).non_embedding for s in mine]
        speed = flop_per_s or _recorded(mine) or overall
        flop_left = sum(s.flop for s in rest)
        on_gpus = sum(s.flop for s in rest if s.run.spec.compute.accelerator == "gpu")
        in_turn = sum(s.flop / s.run.spec.compute.processes for s in rest)
        rows.append(
            Cost(
                sweep=sweep,
                runs=len(mine),
                left=len(rest),
                jobs=len({plan.shard_of(s.run) for s in rest}),
                seeds=len({s.run.spec.seed for s in mine}),
                params_least=min(sizes),
                params_most=max(sizes),
                tokens_left=sum(s.tokens for s in rest),
                flop_left=flop_left,
                device_gb=max(plan.device_bytes(s.run) for s in mine) / 1e9,
                kept_gb=sum(_kept_bytes(s.run.spec) for s in mine) / 1e9,
                checkpoint_gb=max(2 * _count(s.run.spec).total * (_WEIGHT + _MOMENTS) for s in mine) / 1e9,
                flop_per_s=speed,
                gpu_hours_left=None if speed is None else on_gpus / speed / 3600,
                hours_left=None if speed is None else in_turn / speed / workers / 3600,
            )
        )
    return rows


def _recorded(found: Sequence[Standing]) -> float | None:
    """FLOP/s of one device in the runs that were trained to their end."""
    ended = [s for s in found if s.state in ("complete", "stale")]
    timed = [(s.flop, s.seconds * s.run.spec.compute.processes) for s in ended if s.seconds]
    return sum(flop for flop, _ in timed) / sum(seconds for _, seconds in timed) if timed else None


def _count(spec: RunSpec) -> Parameters:
    return count_parameters(spec.model, spec.text.tokenizer.vocab_size)


def _kept_bytes(spec: RunSpec) -> int:
    return _count(spec).total * (_WEIGHT * spec.keep_weights + _MOMENTS * spec.keep_optimizer)


def _hub_bytes(text: TextSpec) -> int:
    sources = text.source.sources if isinstance(text.source, SeveralText) else (text.source,)
    return sum(each.max_bytes * max(1, len(each.subsets)) for each in sources if isinstance(each, HuggingFaceText))
