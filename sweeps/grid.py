"""From a sweep's YAML and a grid's axes to frozen run specs.

A sweep has a ``base`` spec and named ``stages``; a grid gives each stage its axes, or a list of such sets of
axes. A stage is the product of its axes, those of each set by themselves:

- ``size``: names in ``sizes.yaml``, each of which sets a model, and some a learning rate;
- ``tokens_per_parameter``: training tokens as a multiple of the non-embedding parameters, rounded up to whole batches;
- ``learning_rate_factor``: multiples of the learning rate that the run would have without it;
- any field of a spec by its dotted name, such as ``training.tokens`` or ``seed``.

A learning rate is a number or a rule of :mod:`sweeps.rules`; a run that names none takes the rule of ``sizes.yaml``. A spec
always holds the number.

A stage with ``teachers: STAGE`` is also multiplied by the runs of that stage: each of them teaches once. With ``bases: STAGE``
each of them is started from once; with ``pruned: true`` beside it, it is first cut down to ``size``, where it is larger. With
``taught_by_base: true`` a run learns from the run that it starts from; with both bases and teachers, from every other one.
With ``paired: true`` a run starts from bases of its own seed and shape alone.
Axes ``teachers`` and ``bases`` of a grid keep those of the named sizes.

A stage with ``adds: ARM`` trains on a target and other domains; it has the axes of :mod:`sweeps.mixtures`.
"""

import copy
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from curselab.errors import InputError
from sweeps.mixtures import mixed
from sweeps.registry import FOLDER, read_yaml, sweep_file
from sweeps.rules import read_rule, scaled
from trainer.flops import count_parameters
from trainer.model_spec import ModelSpec
from trainer.spec import OptimizerSpec, PlannedRun, RunSpec, TrainingSpec
from trainer.strict import from_mapping, to_mapping

Axes = Mapping[str, list[Any]]
NEEDED = {"teachers": "objective.teacher", "bases": "start.base"}  # key of a stage -> field that takes the run ids


def expand(
    sweep: str, axes: Mapping[str, Axes | Sequence[Axes]], *, overrides: Mapping[str, Any], where: str
) -> tuple[PlannedRun, ...]:
    """Expand one sweep.

    Parameters
    ----------
    sweep : str
        A name of ``sweeps.registry.SWEEPS``.
    axes : mapping
        Stage -> axis -> values, or a list of such axes.
    overrides : mapping
        Spec fields that replace those of the sweep's base, as nested mappings.
    where : str
        Name of the grid for error messages.

    Raises
    ------
    InputError
        Unknown stage, axis or size, a bad value, or two runs that are the same.
    """
    content = read_yaml(sweep_file(sweep))
    stages, base = content["stages"], _merged(content["base"], overrides)
    for stage in axes:
        if stage not in stages:
            raise InputError(f"{where}.{stage}: unknown stage of {sweep} (allowed: {', '.join(stages)})")
    runs: dict[str, list[PlannedRun]] = {}
    known: dict[str, RunSpec] = {}
    for stage, plan in stages.items():
        given = axes.get(stage, [])
        for number, block in enumerate(blocks := [given] if isinstance(given, Mapping) else given):
            place = f"{where}.{stage}" + (f"[{number}]" if len(blocks) > 1 else "")
            for key in block.keys() & NEEDED.keys() - plan.keys():
                raise InputError(f"{place}.{key}: stage {stage} has no {key} (see {sweep_file(sweep).name})")
            specs = _specs(_merged(base, plan.get("set", {})), plan, block, runs, known, place)
            planned = [PlannedRun(sweep, stage, spec) for spec in specs]
            runs[stage] = runs.get(stage, []) + planned
            known |= {run.run_id: run.spec for run in planned}
    expanded = tuple(itertools.chain.from_iterable(runs.values()))
    _refuse_twins(expanded, where)
    return expanded


def _specs(
    common: Mapping[str, Any],
    stage: Mapping[str, Any],
    axes: Axes,
    runs: Mapping[str, list[PlannedRun]],
    known: Mapping[str, RunSpec],
    where: str,
) -> list[RunSpec]:
    """Runs of one set of axes of a stage; ``runs`` are those of the stages before it, ``known`` the same by run id."""
    own_axes = {axis: values for axis, values in axes.items() if axis not in NEEDED}
    needed = {
        field: _needed(key, stage[key], runs.get(stage[key], []), axes.get(key), where)
        for key, field in NEEDED.items()
        if key in stage
    }
    mappings = _mappings(common, {**own_axes, **needed}, where, stage=stage)
    if stage.get("pruned"):
        mappings = _cut_out(mappings, known, where)
    if stage.get("taught_by_base"):
        mappings = (_merged(each, {"objective": {"teacher": each["start"]["base"]}}) for each in mappings)
    specs = [RunSpec.from_mapping(each, where=where) for each in mappings]
    if stage.get("paired"):
        specs = [spec for spec in specs if _is_pair(spec, known[spec.start.base])]
    own = NEEDED.keys() <= stage.keys()  # those are of another stage, if of any
    return [spec for spec in specs if not own or spec.objective.teacher != spec.start.base]


def _needed(key: str, stage: str, there: list[PlannedRun], sizes: list[Any] | None, where: str) -> list[str]:
    """Run ids of the teachers or bases of a stage: all runs of another one, or those of the sizes that the grid names."""
    if not there:
        raise InputError(f"{where}: its {key} are the runs of stage {stage}, which has none in this grid")
    if sizes is None:
        return [run.run_id for run in there]
    chosen = []
    for name in sizes:
        shape = _size(name, f"{where}.{key}")["model"]
        same = [run.run_id for run in there if shape.items() <= to_mapping(run.spec.model).items()]
        if not same:
            raise InputError(f"{where}.{key}: no run of stage {stage} has size {name} in this grid")
        chosen += same
    return chosen


def _mappings(common: Mapping[str, Any], axes: Axes, where: str, *, stage: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*axes.values()):
        mapping = copy.deepcopy(dict(common))
        chosen = dict(zip(axes, values, strict=True))
        if "size" in chosen:
            mapping = _merged(mapping, _size(chosen.pop("size"), f"{where}.size"))
        ratio = chosen.pop("tokens_per_parameter", None)
        factor = chosen.pop("learning_rate_factor", None)
        arm = {axis: chosen.pop(axis, None) for axis in ("target", "data")} if "adds" in stage else None
        for name, value in chosen.items():
            _assign(mapping, name, value, where)
        if ratio is not None:
            _assign(mapping, "training.tokens", _tokens(mapping, ratio, where), where)
        if arm is not None:
            mapping = _merged(mapping, mixed(stage, **arm, tokens_a_step=_tokens_a_step(mapping, where), where=where))
        _set_learning_rate(mapping, factor, where)
        yield mapping


def _is_pair(spec: RunSpec, base: RunSpec) -> bool:
    return spec.seed == base.seed and spec.model == base.model


def _cut_out(mappings: Iterable[dict[str, Any]], bases: Mapping[str, RunSpec], where: str) -> Iterator[dict[str, Any]]:
    """Runs that start from a larger model, pruned to the size that each names; runs of larger sizes are left out."""
    for mapping in mappings:
        base = bases[mapping["start"]["base"]].model
        there, wanted = (count_parameters(model, 1) for model in (base, _model(mapping, where)))
        share = (wanted.attention + wanted.ffn) / (there.attention + there.ffn)
        if share <= 1:
            yield {**mapping, "model": to_mapping(base), "start": {**mapping["start"], "sparsity": round(1 - share, 6)}}


@cache
def _ladder() -> dict[str, Any]:
    return read_yaml(FOLDER / "sizes.yaml")  # type: ignore[no-any-return]


def _size(name: object, where: str) -> Mapping[str, Any]:
    sizes = _ladder()["sizes"]
    if not isinstance(name, str) or name not in sizes:
        raise InputError(f"{where}: {name!r} was given (allowed: {', '.join(sizes)}; see sweeps/sizes.yaml)")
    return sizes[name]  # type: ignore[no-any-return]


def _tokens(mapping: Mapping[str, Any], ratio: object, where: str) -> int:
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio < 2**63:
        raise InputError(f"{where}.tokens_per_parameter: {ratio!r} was given, a number above 0 is needed")
    tokens_a_step = _tokens_a_step(mapping, where)
    # non-embedding parameters do not depend on the vocabulary
    return tokens_a_step * math.ceil(ratio * count_parameters(_model(mapping, where), 1).non_embedding / tokens_a_step)


def _tokens_a_step(mapping: Mapping[str, Any], where: str) -> int:
    training = from_mapping(TrainingSpec, {**mapping.get("training", {}), "tokens": 1}, where=f"{where}.training")
    return training.batch_sequences * _model(mapping, where).context


def _set_learning_rate(mapping: dict[str, Any], factor: object, where: str) -> None:
    """Put the plain number in place of a rule, and multiply it."""
    optimizer = mapping.setdefault("optimizer", {})
    if not isinstance(optimizer, dict):
        return  # reading the spec will refuse it
    rate, place = optimizer.setdefault("learning_rate", _ladder()["learning_rate"]), f"{where}.optimizer"
    if isinstance(rate, Mapping):
        training = from_mapping(TrainingSpec, mapping.get("training"), where=f"{where}.training")
        try:
            rate = read_rule(rate, where=place).rate(_model(mapping, where), training.tokens)
        except OverflowError:
            raise InputError(f"{place}.learning_rate: {dict(rate)} gives no finite rate") from None
    elif factor is None:
        return
    else:
        rate = from_mapping(OptimizerSpec, {"learning_rate": rate}, where=place).learning_rate
    optimizer["learning_rate"] = scaled(rate, 1 if factor is None else factor, where=where)


def _model(mapping: Mapping[str, Any], where: str) -> ModelSpec:
    return from_mapping(ModelSpec, mapping.get("model"), where=f"{where}.model")


def _assign(mapping: dict[str, Any], dotted: str, value: object, where: str) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        mapping = mapping.setdefault(parent, {})
        if not isinstance(mapping, dict):
            break
    is_group = isinstance(mapping, dict) and isinstance(mapping.get(last), dict) and dotted != "optimizer.learning_rate"
    if not isinstance(mapping, dict) or (is_group and not isinstance(value, dict)):
        allowed = "size, tokens_per_parameter, learning_rate_factor, a field of a spec"
        raise InputError(f"{where}.{dotted}: unknown axis (allowed: {allowed})")
    mapping[last] = value


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings with ``above`` winning; a mapping with another ``kind`` replaces instead of merging."""
    merged = copy.deepcopy(dict(below))
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and value.get("kind", old.get("kind")) == old.get("kind"):
            merged[key] = _merged(old, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _refuse_twins(runs: tuple[PlannedRun, ...], where: str) -> None:
    seen: dict[str, PlannedRun] = {}
    for run in runs:
        if run.run_id in seen:
            both = {seen[run.run_id].stage, run.stage}
            raise InputError(
                f"{where}: run {run.run_id} is there twice (in {' and '.join(sorted(both))}); an axis repeats a value"
            )
        seen[run.run_id] = run
