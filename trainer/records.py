"""Records of the results contract: what one run puts into the tables ``runs``, ``metrics`` and ``layers``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curselab.contract import check_record, table
from curselab.files import write_with
from trainer.evaluation import ALL
from trainer.flops import count_parameters, train_flop
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.spec import DomainShare, RunSpec
from trainer.text.prepared import PreparedText

SCORES = ("loss_nats_per_token", "loss_se_nats_per_token", "loss_bits_per_byte")
ARROW = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished run that others need: its spec, its ``runs`` record, and its model where it has not diverged."""

    spec: RunSpec
    summary: dict[str, Any]
    model: Decoder | None

    @property
    def shape(self) -> ModelSpec:
        """Of its model, which pruning may have changed."""
        return self.spec.model if self.model is None else self.model.spec


def planned_columns(spec: RunSpec, model: ModelSpec, text: PreparedText, *, sweep: str, stage: str) -> dict[str, Any]:
    """Columns of the table ``runs`` that follow from the spec, the model's shape (pruning changes it) and the text."""
    counts = count_parameters(model, text.vocab_size)
    return {
        "sweep": sweep,
        "stage": stage,
        "run_id": spec.run_id,
        "seed": spec.seed,
        "text_source": spec.text.source.kind,
        "text_sha256": text.sha256,
        "tokenizer": spec.text.tokenizer.kind,
        "vocab_size": text.vocab_size,
        "split": spec.training.split,
        "width": model.width,
        "depth": model.depth,
        "heads": model.heads,
        "context": model.context,
        "scheme": model.scheme,
        "initialisation": model.initialisation,
        "params_total": counts.total,
        "params_non_embedding": counts.non_embedding,
        "steps": spec.steps,
        "tokens": spec.steps * spec.tokens_per_step,
        "unique_tokens": sum(_trained_on(spec, text).values()),
        **_domain_columns(spec, text),
        **_known_columns(spec, text),
        "learning_rate": spec.optimizer.learning_rate,
        "objective": spec.objective.kind,
    }


def _trained_on(spec: RunSpec, text: PreparedText) -> dict[str, int]:
    """Domain -> tokens of it that the run has to train on, each counted once."""
    asked = {part.domain: part.tokens for part in spec.training.mixture} or dict.fromkeys(text.domains, 0)
    return {domain: wanted or text.n_tokens(spec.training.split, domain) for domain, wanted in asked.items()}


def _domain_columns(spec: RunSpec, text: PreparedText) -> dict[str, Any]:
    """Columns of the table ``runs`` on the domain that the loss is of and on what the run was trained on."""
    mixture, there = spec.training.mixture, _trained_on(spec, text)
    columns: dict[str, Any] = {"mixture": ", ".join(map(_named, mixture)) or None}
    if not spec.evaluation.domains:
        return columns | {"domain": ALL, "domain_tokens": None, "domain_unique_tokens": None}
    domain, tokens = spec.evaluation.domains[0], spec.steps * spec.tokens_per_step
    shares = {part.domain: part.share for part in mixture} or {name: n / sum(there.values()) for name, n in there.items()}
    seen = round(shares.get(domain, 0.0) * tokens)
    return columns | {"domain": domain, "domain_tokens": seen, "domain_unique_tokens": min(seen, there.get(domain, 0))}


def _named(part: DomainShare) -> str:
    tokens = f" of {part.tokens}" if part.tokens else ""
    return f"{part.domain} {part.share:g}{tokens}" + ("" if part.selection == "first" else f" {part.selection}")


def _known_columns(spec: RunSpec, text: PreparedText) -> dict[str, float | None]:
    """Columns of the table ``runs`` on artificial languages, whose entropy and likeness are known exactly; else null."""
    domain = next(iter(spec.evaluation.domains), ALL)
    about = text.meta["domains"].get(domain, {})
    others = {part.domain: part.share for part in spec.training.mixture if part.domain != domain}
    columns: dict[str, float | None] = {"domain_entropy_bits_per_byte": about.get("entropy_bits_per_byte")}
    for column, measure in (("added_syntax_distance", "syntax_distance"), ("added_lexical_jaccard", "lexical_jaccard")):
        to = about.get(measure, {})
        known = bool(others) and others.keys() <= to.keys()  # a shuffled copy is of no language
        columns[column] = sum(share * to[name] for name, share in others.items()) / sum(others.values()) if known else None
    return columns


def base_columns(spec: RunSpec, base: Finished | None) -> dict[str, Any]:
    """Columns of the table ``runs`` that tell what the run was started from; null where its weights are its own."""
    return {
        "base_id": spec.start.base or None,
        "base_params_non_embedding": None if base is None else base.summary["params_non_embedding"],
        "sparsity": None if base is None else spec.start.sparsity,
    }


def teacher_columns(spec: RunSpec, model: ModelSpec, teacher: Finished | None) -> dict[str, Any]:
    """Columns of the table ``runs`` that depend on the teacher; without one they are null but for the run's own FLOP."""
    flop = train_flop(spec, model=model, teacher=None if teacher is None else teacher.shape)
    if teacher is None:
        names = ("id", "params_non_embedding", "tokens", "seed", "loss_nats_per_token")
        empty = {f"teacher_{name}": None for name in names}
        return {"train_flop": flop, "distill_weight": None, "temperature": None, **empty}
    return {
        "train_flop": flop,
        "distill_weight": spec.objective.distill_weight,
        "temperature": spec.objective.temperature,
        "teacher_id": spec.objective.teacher,
        "teacher_params_non_embedding": teacher.summary["params_non_embedding"],
        "teacher_tokens": teacher.summary["tokens"],
        "teacher_seed": teacher.summary["seed"],
        "teacher_loss_nats_per_token": teacher.summary["loss_nats_per_token"],
    }


def long_table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of the table ``metrics`` or ``layers`` with the contract's types, each checked against it."""
    for row in rows:
        check_record(name, row)
    schema = pa.schema([(column.name, ARROW[column.dtype]) for column in table(name).columns])
    return pa.Table.from_pylist(rows, schema=schema)


def write_rows(path: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """Write rows of the table ``metrics`` or ``layers`` as parquet."""
    content = long_table(name, rows)
    write_with(path, lambda temporary: pq.write_table(content, temporary, write_page_checksum=True))
