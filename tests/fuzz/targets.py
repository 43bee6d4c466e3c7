"""What is handed over by others, one target a kind: valid content changed a little, and what of ours reads it.

The command line is called as a person calls it, but in this process. Where a target reads several
kinds of file, the first line of its content says which.
"""

import contextlib
import csv
import dataclasses
import functools
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from hypothesis import strategies as st
from ruamel.yaml import YAML

from analysis.fit import write_fit
from analysis.laws.forms import FORMS
from analysis.laws.prepacking import fit_prepacking
from sweeps.registry import read_yaml
from tests.analysis.factories import capacity_gap_runs, learning_rate_runs, scaling_runs
from tests.analysis.imports.logs import STATE, write_chart
from tests.analysis.prepacking_factories import times
from tests.fuzz.attempt import Contents, Target, command
from tests.fuzz.hostile import ATOMS, NUMBERS, VALUES, WORDS, edited, mangled
from trainer.checkpoint import save_state
from trainer.model_spec import ModelSpec
from trainer.run import run_in_folder, run_together
from trainer.spec import EvaluationSpec, OptimizerSpec, PlannedRun, RunSpec, TrainingSpec
from trainer.text import PreparedText, prepare_text
from trainer.text_spec import LanguagesText, TextSpec
from trainer.training import load_finished

SMOKE = Path(__file__).parents[2] / "config" / "smoke.yaml"


def _grids() -> Contents:
    smoke = read_yaml(SMOKE)
    of_one = [{**smoke, "sweeps": {name: _fewer(stages)}} for name, stages in smoke["sweeps"].items()]
    return st.sampled_from(of_one).flatmap(edited).map(_yaml) | mangled(SMOKE.read_bytes())


def _fewer(stages: dict[str, Any]) -> dict[str, Any]:
    """At most two values an axis: hundreds of inputs a minute."""
    return {stage: {axis: values[:2] for axis, values in axes.items()} for stage, axes in stages.items()}


def _read_grid(content: bytes) -> None:
    Path("grid.yaml").write_bytes(content)
    command("sweep", "expand", "--config", "grid.yaml")
    command("plan", "grid", "--config", "grid.yaml", "--format", "json")


def _specs() -> Contents:
    """Grids of one run whose spec has hostile values in its fields, and run folders with one hostile file."""
    values = VALUES | st.sampled_from([2, 3, 4, 64, 10**6, 10**9, 10**12, 10**18])
    axes = st.dictionaries(
        st.sampled_from(sorted(_fields(RunSpec))), values.map(lambda value: [value]), min_size=1, max_size=4
    )
    plain = {"size": ["6k"], "training.tokens": [4096], "seed": [0]}
    grids = axes.map(lambda axes: _yaml({"grid": "tiny", "shards": 1, "sweeps": {"scaling": {"run": plain | axes}}}))
    return _headed("grid", grids) | st.sampled_from(sorted(_finished())).flatmap(lambda name: _headed(name, _of_folder(name)))


def _of_folder(name: str) -> Contents:
    content = _finished()[name]
    if name.endswith(".json"):
        return _perhaps_mangled(edited(json.loads(content)).map(lambda tree: json.dumps(tree).encode()))
    return _perhaps_mangled(_parquet(pq.read_table(io.BytesIO(content)))) if name.endswith(".parquet") else mangled(content)


def _read_spec(content: bytes) -> None:
    name, content = _parted(content)
    if name == "grid":
        _read_grid(content)
        return
    for each, whole in _finished().items():
        file = Path("runs", each.replace("run/", f"{TINY.run_id}/"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if each == name else whole)
    command("collect", "runs/shard.json", "--runs", "runs", "--out", "tables")
    load_finished(TINY, "base", TINY.run_id, Path("runs"))


TINY = RunSpec(
    model=ModelSpec(width=8, depth=1, heads=1, ffn_width=8, context=16),
    training=TrainingSpec(tokens=6 * 32, batch_sequences=2),
    optimizer=OptimizerSpec(learning_rate=1e-2),
    text=TextSpec(source=LanguagesText(families=1, languages_per_family=1, bytes_per_language=5000)),
    evaluation=EvaluationSpec(tokens=32, curve_tokens=32),
    keep_weights=True,
)


@dataclass(frozen=True, slots=True)
class Trained:
    """A tiny run, its files by their place among runs, its record, and its state after three of six steps."""

    text: PreparedText
    files: dict[str, bytes]
    summary: dict[str, Any]
    state: bytes


@cache
def _trained() -> Trained:
    text = prepare_text(TINY.text, Path(mkdtemp(), TINY.text.text_id))  # its tokens stay on disk
    with TemporaryDirectory() as temporary:
        runs, run_id = Path(temporary, "runs"), TINY.run_id
        state = Path(temporary, f"{run_id}.ckpt")
        planned = [PlannedRun("scaling", "run", TINY)]
        (outcome,) = run_together(planned, runs=runs, text=text, snapshots={run_id: {3: state}}).values()
        assert outcome.summary is not None, outcome.error
        files = {f"run/{file.name}": file.read_bytes() for file in (runs / run_id).iterdir() if file.stat().st_size}
        shard = {"runs": [{"run_id": run_id, "stage": "run"}]}
        return Trained(text, files | {"shard.json": json.dumps(shard).encode()}, outcome.summary, state.read_bytes())


def _finished() -> dict[str, bytes]:
    return _trained().files


def _checkpoints() -> Contents:
    whole = _trained().state
    state = torch.load(io.BytesIO(whole), weights_only=True)
    tensors = st.sampled_from(
        [torch.zeros(0), torch.zeros(3), torch.full((8, 8), torch.nan), torch.zeros(2, dtype=torch.int64)]
    )
    mark = {"fingerprint": state.pop("fingerprint")}
    # parts of it and of the model; what lies deeper in the optimiser's state is found out as it computes
    of_model = edited(dict(state["model"]), VALUES | tensors).map(lambda model: mark | state | {"model": model})
    of_parts = st.tuples(st.sampled_from(sorted(state)), VALUES | tensors).map(lambda part: mark | state | dict([part]))
    return _headed("bytes", mangled(whole)) | _headed("state", (of_model | of_parts | VALUES).map(_saved))


def made_up(**parts: Any) -> bytes:
    """A state that is marked as the run's own, with some of its parts made up."""
    return b"state\n" + _saved(torch.load(io.BytesIO(_trained().state), weights_only=True) | parts)


def _saved(state: Any) -> bytes:
    with TemporaryDirectory() as folder:
        save_state(lambda path: torch.save(state, path), Path(folder, "state.ckpt"))
        return Path(folder, "state.ckpt").read_bytes()


def _read_checkpoint(content: bytes) -> None:
    """A state whose bytes were damaged must not change the result; one that was made up must be read or refused."""
    kind, content = _parted(content)
    folder = Path("runs", TINY.run_id)
    folder.mkdir(parents=True)
    (folder / "checkpoint.ckpt").write_bytes(content)
    with contextlib.redirect_stderr(io.StringIO()):
        summary = run_in_folder(TINY, sweep="scaling", stage="run", runs=Path("runs"), text=_trained().text)
    assert kind == "state" or summary == _trained().summary


def _fields(spec: type, prefix: str = "") -> Iterator[str]:
    """Dotted names of the fields of a spec."""
    for field in dataclasses.fields(spec):
        yield prefix + field.name
        if dataclasses.is_dataclass(field.type):
            yield from _fields(field.type, f"{prefix}{field.name}.")


def _yaml(content: Any) -> bytes:
    out = io.StringIO()
    try:
        YAML(typ="safe").dump(content, out)
        return out.getvalue().encode()
    except Exception:  # what YAML cannot write, JSON can, and JSON is read as YAML
        return json.dumps(content).encode()


@cache
def _tables() -> dict[str, pd.DataFrame]:
    """Law or form -> a table that it fits."""
    own = scaling_runs(noise=0.01)[["params_total", "tokens", "loss_nats_per_token"]][::2]
    own.columns = pd.Index(["params", "tokens", "loss"])
    return dict.fromkeys(FORMS, own) | {
        "scaling": scaling_runs(noise=0.01),
        "learning_rate": learning_rate_runs((6_000, 25_000, 101_000)),
        "capacity_gap": capacity_gap_runs(ratios=2.0 ** np.arange(0, 6, 2), seeds=2),
    }


def _csv_tables() -> Contents:
    def of(law: str) -> Contents:
        table = _tables()[law]
        cells = [list(table.columns), *table.astype(object).where(table.notna(), "").to_numpy().tolist()]
        return _headed(law, _perhaps_mangled((edited(cells, ATOMS) | _column_edited(cells)).map(_csv)))

    return st.sampled_from(sorted(_tables())).flatmap(of)


@st.composite
def _column_edited(draw: st.DrawFn, cells: list[list[Any]]) -> list[list[Any]]:
    """A column that holds one value, or a few by turns."""
    column = draw(st.integers(0, len(cells[0]) - 1))
    values = draw(st.lists(ATOMS, min_size=1, max_size=3))
    rows = enumerate(cells[1:])
    return [cells[0], *([*row[:column], values[n % len(values)], *row[column + 1 :]] for n, row in rows)]


def _csv(rows: list[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(row if isinstance(row, list) else [row] for row in rows)
    return out.getvalue().encode(errors="replace")


def _parquet_tables() -> Contents:
    def of(law: str) -> Contents:
        return _headed(law, _perhaps_mangled(_parquet(pa.Table.from_pandas(_tables()[law], preserve_index=False))))

    return st.sampled_from(sorted(_tables())).flatmap(of)


TYPES = [
    pa.string(), pa.binary(), pa.bool_(), pa.null(), pa.int8(), pa.uint64(), pa.int64(), pa.float16(), pa.float64(),
    pa.date32(), pa.timestamp("ns", "UTC"), pa.decimal128(38, 2), pa.dictionary(pa.int32(), pa.string()),
    pa.list_(pa.float64()), pa.struct({"a": pa.int64()}), None,
]  # fmt: skip


@st.composite
def _parquet(draw: st.DrawFn, table: pa.Table) -> bytes:
    """A table with one to three of its columns of other names, other values or another type."""
    columns = [(name, table[name].combine_chunks()) for name in table.column_names]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(columns) - 1))
        name, old = columns[at]
        change = draw(st.sampled_from(["name", "type", "value", "values", "drop", "double"]))
        if change == "name":
            columns[at] = draw(st.sampled_from([*WORDS, *(other for other, _ in columns)])), old
        elif change == "drop":
            del columns[at : at + (len(columns) > 1)]
        elif change == "double":
            columns.append((name, old))
        elif change == "type":
            columns[at] = name, _array(_plain(old), draw(st.sampled_from(TYPES)), old)
        else:
            odd = draw(st.lists(ATOMS | st.sampled_from([[1.0], {"a": 1}]), min_size=1, max_size=3))
            values = odd[:1] + _plain(old)[1:] if change == "value" else (odd * len(old))[: len(old)]
            columns[at] = name, _array(values, draw(st.sampled_from(TYPES)), old)
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([array for _, array in columns], names=[name for name, _ in columns]), out)
    return out.getvalue()


def _plain(array: pa.Array) -> list[Any]:
    try:
        return array.to_pylist()  # type: ignore[no-any-return]
    except (OverflowError, ValueError):  # a date that Python cannot write
        return [0] * len(array)


def _array(values: list[Any], kind: pa.DataType | None, otherwise: pa.Array) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return otherwise


def _read_table(ending: str, content: bytes) -> None:
    law, content = _parted(content)
    Path(f"runs{ending}").write_bytes(content)
    few = ["--bootstrap", "8"] if law in FORMS else []
    command("fit", f"runs{ending}", "--law", law, "--out", "fit.json", *few)
    if Path("fit.json").exists():
        command("table", "fit.json", "--out", "fit.md")


def _lengths() -> Contents:
    """Words of the command that predicts speed-ups from lengths of prompts, one a line."""
    odd = st.sampled_from([*NUMBERS, *WORDS, 10**6, 10**9, 10**12]) | st.floats() | st.text(max_size=5)
    one = st.integers(1, 64).map(lambda value: [value])
    names = {"lengths": st.lists(st.integers(1, 4096), min_size=1, max_size=40), "width": one, "depth": one, "ffn_width": one}
    words = st.fixed_dictionaries(names, optional={"batch": one})
    return (words | words.flatmap(lambda content: edited(content, odd | st.lists(odd, max_size=3)))).map(_words)


def _words(content: dict[str, Any]) -> bytes:
    values = {name: value if isinstance(value, list) else [value] for name, value in content.items()}
    return "\n".join(f"{name}={','.join(map(_word, value))}" for name, value in values.items()).encode(errors="replace")


def _word(value: object) -> str:
    return "1" + 400 * "0" if value == 10**400 else str(value)


@cache
def _prepacking_fit() -> bytes:
    table = times(noise=0.02, batches=(8,))
    with TemporaryDirectory() as folder:
        runs, fit = Path(folder, "runs.csv"), Path(folder, "fit.json")
        table.to_csv(runs)
        write_fit(fit, "prepacking", fit_prepacking(table, bootstrap=5), {"runs": runs})
        return fit.read_bytes()


def _read_lengths(content: bytes) -> None:
    Path("fit.json").write_bytes(_prepacking_fit())
    command("predict", "fit.json", *content.decode(errors="replace").split("\n"))


def _logs() -> Contents:
    state = json.loads(STATE.read_bytes())
    with TemporaryDirectory() as folder:
        write_chart(Path(folder, "chart.csv"), {"run": (1e6, 20)})
        rows = list(csv.reader(io.StringIO(Path(folder, "chart.csv").read_text())))
    kinds = {
        ".json": edited(state).map(lambda content: json.dumps(content).encode()),
        ".csv": (edited(rows, ATOMS) | _column_edited(rows)).map(_csv),
        ".tfevents": st.lists(_events(), min_size=1, max_size=4).map(b"".join),
    }
    return st.one_of([_headed(kind, _perhaps_mangled(contents)) for kind, contents in kinds.items()])


@st.composite
def _events(draw: st.DrawFn) -> bytes:
    """A record of TensorBoard with good checksums, whatever is in it."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.summary.writer.record_writer import RecordWriter

    whole = st.sampled_from([0, 1, 2, 5, -1, 2**31, 2**62]) | st.integers(-(2**63), 2**63 - 1)
    value = Summary.Value(tag=draw(st.sampled_from(["eval/loss", "eval/loss", "tokens", ""])))
    if draw(st.booleans()):
        value.simple_value = draw(st.floats(width=32) | st.sampled_from([1.0, 2.5]))
    else:
        dims = [TensorShapeProto.Dim(size=size) for size in draw(st.lists(whole, max_size=2))]
        tensor = TensorProto(dtype=draw(st.integers(0, 24)), tensor_shape=TensorShapeProto(dim=dims))
        tensor.float_val.extend(draw(st.lists(st.floats(width=32), max_size=2)))
        tensor.string_val.extend(draw(st.lists(st.binary(max_size=4), max_size=2)))
        tensor.tensor_content = draw(st.binary(max_size=9))
        value.tensor.CopyFrom(tensor)
        value.metadata.plugin_data.plugin_name = draw(st.sampled_from(["scalars", "scalars", "images"]))
    record = Event(step=draw(whole), wall_time=1.0, summary=Summary(value=[value])).SerializeToString()
    out = io.BytesIO()
    RecordWriter(out).write(draw(mangled(record)) if draw(st.integers(0, 3)) == 0 else record)
    return out.getvalue()


def _read_log(content: bytes) -> None:
    kind, content = _parted(content)
    Path(f"log{kind}").write_bytes(content)
    name = {".json": "eval_old_loss", ".csv": "run - eval/loss"}.get(kind, "eval/loss")
    words = [f"{name}=loss_nats_per_token", "--out", "metrics.parquet"]
    step = ["--step", "train/global_step"] if kind == ".csv" else []
    for tokens in ("10", {".json": "num_input_tokens_seen"}.get(kind, "tokens")):
        command("import", f"log{kind}", *words, *step, "--tokens", tokens)


def _headed(first: str, contents: Contents) -> Contents:
    return contents.map(lambda content: first.encode() + b"\n" + content)


def _parted(content: bytes) -> tuple[str, bytes]:
    first, _, rest = content.partition(b"\n")
    return first.decode(), rest


def _perhaps_mangled(contents: Contents) -> Contents:
    return contents.flatmap(lambda content: st.just(content) | mangled(content))


TARGETS = {
    "grids": Target(_grids, _read_grid),
    "specs": Target(_specs, _read_spec, _trained),
    "csv": Target(_csv_tables, functools.partial(_read_table, ".csv")),
    "parquet": Target(_parquet_tables, functools.partial(_read_table, ".parquet")),
    "checkpoints": Target(_checkpoints, _read_checkpoint, _trained),
    "lengths": Target(_lengths, _read_lengths, _prepacking_fit),
    "logs": Target(_logs, _read_log),
}
