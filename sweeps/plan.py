"""A plan: every run of a grid, and the shards that share them out.

A run's shard follows from its spec alone, so a changed grid moves no other run. Shards of a stage that needs the runs of
another wait for the shards of those.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from curselab.errors import InputError
from sweeps.bench import read_bench
from sweeps.grid import expand
from sweeps.problem import ProblemSpec, read_problem
from sweeps.registry import read_yaml
from trainer.flops import train_flop
from trainer.footprint import estimate_bytes
from trainer.model_spec import ModelSpec
from trainer.prefill_bench_spec import PrefillBenchSpec
from trainer.sharing import share_key
from trainer.spec import PlannedRun
from trainer.strict import short_hash
from trainer.text_spec import FilesText, SeveralText, TextSpec

SCHEMA = Path(__file__).parents[1] / "workflow" / "schemas" / "config.schema.yaml"


@dataclass(frozen=True)
class Plan:
    """All runs of one grid."""

    config: Path
    grid: str
    shards_a_stage: int
    runs: tuple[PlannedRun, ...]
    problems: Mapping[str, ProblemSpec]
    """Controlled truths by name."""
    benches: Mapping[str, PrefillBenchSpec]
    """What is timed, by name."""
    left_out: Mapping[str, str]
    """Sweeps whose text is in part a folder that is not there, each with one line that says what of it is left out."""

    @property
    def sweeps(self) -> tuple[str, ...]:
        """Sweeps of the grid, in its order."""
        return tuple(dict.fromkeys(run.sweep for run in self.runs))

    @cached_property
    def texts(self) -> dict[str, TextSpec]:
        """Texts that the runs need, by text id."""
        return {run.spec.text.text_id: run.spec.text for run in self.runs}

    @cached_property
    def _shards(self) -> dict[tuple[str, str], tuple[PlannedRun, ...]]:
        shards: dict[tuple[str, str], list[PlannedRun]] = {}
        for run in self.runs:
            # by what the run shares with others, so that they meet in one shard; a new run moves no other
            number = int(short_hash(share_key(run.spec)), 16) % self.shards_a_stage
            shards.setdefault((run.sweep, f"{run.stage}-{number}"), []).append(run)
        return {key: tuple(runs) for key, runs in shards.items()}

    @cached_property
    def _home(self) -> dict[tuple[str, str], str]:
        return {(run.sweep, run.run_id): shard for (_, shard), runs in self._shards.items() for run in runs}

    @cached_property
    def _by_id(self) -> dict[tuple[str, str], PlannedRun]:
        return {(run.sweep, run.run_id): run for run in self.runs}

    def only(self, sweeps: Iterable[str] | None) -> "Plan":
        """Plan of the named sweeps alone; of all where none is named."""
        named = set(sweeps or self.sweeps)
        if unknown := sorted(named - set(self.sweeps)):
            raise InputError(f"sweep {unknown[0]!r}: not in {self.config} (allowed: {', '.join(self.sweeps)})")
        return replace(self, runs=tuple(run for run in self.runs if run.sweep in named))

    def shards(self, sweep: str) -> tuple[str, ...]:
        """Names of a sweep's shards, such as ``student-3``."""
        return tuple(shard for owner, shard in self._shards if owner == sweep)

    def shard(self, sweep: str, shard: str) -> tuple[PlannedRun, ...]:
        """Runs of one shard."""
        try:
            return self._shards[sweep, shard]
        except KeyError:
            names = ", ".join(self.shards(sweep)) or "none"
            raise InputError(f"shard {shard!r} of {sweep!r}: not in {self.config} (allowed: {names})") from None

    def shard_of(self, run: PlannedRun) -> str:
        """Name of the shard that holds a run."""
        return self._home[run.sweep, run.run_id]

    def needs(self, sweep: str, shard: str) -> tuple[str, ...]:
        """Shards whose runs are teachers or bases of the runs of this shard."""
        specs = [run.spec for run in self.shard(sweep, shard)]
        ids = {run_id for spec in specs for run_id in (spec.objective.teacher, spec.start.base)} - {""}
        return tuple(sorted({self._home[sweep, run_id] for run_id in ids}))

    def text_ids(self, sweep: str, shard: str) -> tuple[str, ...]:
        """Texts that a shard trains on."""
        return tuple(sorted({run.spec.text.text_id for run in self.shard(sweep, shard)}))

    def digest(self, sweep: str, shard: str) -> str:
        """Hash of a shard's run ids and stages: what makes its results stale when the grid changes."""
        content = "\n".join(sorted(f"{run.stage} {run.run_id}" for run in self.shard(sweep, shard)))
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def problem(self, name: str) -> ProblemSpec:
        """One controlled truth of the grid."""
        try:
            return self.problems[name]
        except KeyError:
            names = ", ".join(self.problems) or "none"
            raise InputError(f"problem {name!r}: not in {self.config} (allowed: {names})") from None

    def bench(self, name: str) -> PrefillBenchSpec:
        """One bench of the grid."""
        try:
            return self.benches[name]
        except KeyError:
            names = ", ".join(self.benches) or "none"
            raise InputError(f"bench {name!r}: not in {self.config} (allowed: {names})") from None

    def teacher(self, run: PlannedRun) -> ModelSpec | None:
        """Shape of the teacher of a run that has one."""
        teacher = run.spec.objective.teacher
        return self._by_id[run.sweep, teacher].spec.model if teacher else None

    def flop(self, run: PlannedRun) -> float:
        """FLOP that a run is expected to take, its teacher's forward passes included."""
        return train_flop(run.spec, teacher=self.teacher(run))

    def device_bytes(self, run: PlannedRun) -> float:
        """Bytes that one device needs for a run, to within a factor of two."""
        return estimate_bytes(run.spec, run.spec.text.tokenizer.vocab_size, teacher=self.teacher(run))


def load_plan(config: Path) -> Plan:
    """Read a grid's configuration and expand all its sweeps, but for runs that read a folder of their own which is not there.

    Parameters
    ----------
    config : Path
        A file like ``config/smoke.yaml``, checked against ``workflow/schemas/config.schema.yaml``.

    Raises
    ------
    InputError
        One line naming the key and what is allowed.
    """
    content = read_yaml(config)
    _validate(content, config)
    overrides: Mapping[str, Any] = {"text": content["text"]} if "text" in content else {}
    runs: list[PlannedRun] = []
    left_out = {}
    for sweep, axes in content["sweeps"].items():
        where = f"{config}: sweeps.{sweep}"
        expanded = expand(sweep, axes, overrides=overrides, where=where)
        missing = _missing_folders(expanded) - {overrides.get("text", {}).get("source", {}).get("path")}
        lost = _without_text(expanded, missing)
        kept = [run for run in expanded if run.run_id not in lost]
        if lost:
            stages = dict.fromkeys(run.stage for run in expanded if run.run_id in lost)
            what = f"{where}.{', '.join(stages)}" if kept else where
            left_out[sweep] = (
                f"{what} is left out, no such folder: {', '.join(sorted(missing))}; put text there or edit its path"
            )
        runs += kept
    problems = {
        name: read_problem(name, axes, where=f"{config}: problems.{name}")
        for name, axes in content.get("problems", {}).items()
    }
    benches = {
        name: read_bench(name, axes, where=f"{config}: benches.{name}") for name, axes in content.get("benches", {}).items()
    }
    return Plan(config, content["grid"], content["shards"], tuple(runs), problems, benches, left_out)


def configuration(config: Path, name: str) -> dict[str, Any]:
    """Return what a grid's file says of a sweep, a problem or a bench, and its text.

    Raises
    ------
    InputError
        The grid does not name it.
    """
    content = read_yaml(config)
    _validate(content, config)
    axes = {name: axes for kind in ("sweeps", "problems", "benches") for name, axes in content.get(kind, {}).items()}
    if name not in axes:
        raise InputError(f"law {name!r}: not in {config} (allowed: {', '.join(axes)})")
    return {key: content[key] for key in ("grid", "text") if key in content} | {name: axes[name]}


def _missing_folders(runs: Iterable[PlannedRun]) -> set[str]:
    """Folders of text that are not there."""
    return {path for text in {run.spec.text for run in runs} for path in _folders(text) if not Path(path).is_dir()}


def _folders(text: TextSpec) -> set[str]:
    """Folders that a text is read from."""
    sources = text.source.sources if isinstance(text.source, SeveralText) else (text.source,)
    return {source.path for source in sources if isinstance(source, FilesText)}


def _without_text(runs: Iterable[PlannedRun], missing: set[str]) -> set[str]:
    """Run ids of the runs whose text is missing, and of those that need one of them and so come later."""
    lost: set[str] = set()
    for run in runs:
        if _folders(run.spec.text) & missing or {run.spec.objective.teacher, run.spec.start.base} & lost:
            lost.add(run.run_id)
    return lost


def _validate(content: object, config: Path) -> None:
    error = best_match(Draft202012Validator(read_yaml(SCHEMA)).iter_errors(content))
    if error is not None:
        raise InputError(f"{config}: {_explain(error)}")


def _explain(error: ValidationError) -> str:
    key = ".".join(str(part) for part in error.absolute_path)
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        known = schema["properties"]
        unknown = [str(name) for name in cast(dict[str, Any], error.instance) if name not in known]
        return f"{'.'.join(filter(None, [key, unknown[0]]))}: unknown key (allowed: {', '.join(known)})"
    meaning = schema.get("description", "")
    return f"{key or 'the file'}: {error.message}" + (f" ({meaning})" if meaning else "")
