import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curselab.errors import InputError
from trainer.spec import RunSpec
from trainer.strict import canonical_json, to_mapping

GOOD = {
    "model": {"width": 16, "depth": 2, "heads": 2, "ffn_width": 24},
    "training": {"tokens": 100_000},
    "optimizer": {"learning_rate": 1e-2},
}


def changed(path: str, value: object) -> dict:
    mapping = json.loads(json.dumps(GOOD))
    inner = mapping
    *parents, last = path.split(".")
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return mapping


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("model.widht", 16, ["model.widht", "unknown key", "did you mean 'width'"]),
        ("speed", 1, ["speed", "unknown key", "allowed: model, training"]),
        ("optimizer.learning_rate", "3e-4", ["optimizer.learning_rate", "'3e-4'", "a number is needed"]),
        ("model.depth", 2.0, ["model.depth", "2.0", "a whole number"]),
        ("seed", True, ["seed", "True", "a whole number"]),
        ("keep_weights", 1, ["keep_weights", "1", "true or false"]),
        ("model.width", 0, ["model.width", "0", "1 or more"]),
        ("model.heads", 3, ["model.heads", "3", "divisor of width / 2"]),
        ("schedule.kind", "linear", ["schedule.kind", "'linear'", "cosine, wsd, constant"]),
        ("text.source.kind", "web", ["text.source.kind", "'web'", "installed, files, languages, huggingface"]),
        ("text.source", {"kind": ["files"]}, ["text.source.kind", "['files']"]),
        ("text.source", {"path": "x"}, ["text.source.kind", "nothing"]),
        ("text.source", {"kind": "files"}, ["text.source.path", "missing"]),
        ("text.source", {"kind": "files", "path": "x", "domains": "est"}, ["text.source.domains", "a list is needed"]),
        ("text.tokenizer", {"kind": "bytes", "vocab_size": 512}, ["vocab_size", "512", "256"]),
        ("text.teacher_share", 0.95, ["text.teacher_share", "0.95"]),
        ("training.tokens", 100, ["training.tokens", "100", "at least one batch of 2048 tokens"]),
        ("objective", {"kind": "distill"}, ["objective.teacher", "run id"]),
        ("objective", {"teacher": "0123456789ab"}, ["objective.teacher", "kind is lm"]),
        ("objective", {"kind": "distill", "teacher": "../../../../etc"}, ["objective.teacher", "run id"]),
        ("model", [16, 2], ["model", "a mapping is needed"]),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_key(path: str, value: object, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        RunSpec.from_mapping(changed(path, value))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InputError, match="optimizer: missing"):
        RunSpec.from_mapping({key: value for key, value in GOOD.items() if key != "optimizer"})


@given(st.permutations(list(GOOD)), st.integers(0, 10**6), st.floats(1e-6, 1.0))
def test_id_does_not_depend_on_the_order_of_keys_and_specs_survive_json(order: list[str], seed: int, rate: float) -> None:
    mapping = {**changed("optimizer.learning_rate", rate), "seed": seed}
    spec = RunSpec.from_mapping(mapping)
    shuffled = RunSpec.from_mapping({"seed": seed, **{key: mapping[key] for key in order}})
    assert shuffled.run_id == spec.run_id
    assert RunSpec.from_mapping(json.loads(json.dumps(to_mapping(spec)))) == spec


def test_run_id_is_the_sha256_of_the_canonical_json() -> None:
    spec = RunSpec.from_mapping(GOOD)
    independent = json.dumps(to_mapping(spec), sort_keys=True, separators=(",", ":"))
    assert canonical_json(spec) == independent
    assert spec.run_id == hashlib.sha256(independent.encode()).hexdigest()[:12]


def test_a_whole_number_is_a_number_and_gives_the_same_id() -> None:
    assert RunSpec.from_mapping(changed("optimizer.learning_rate", 1)).run_id == (
        RunSpec.from_mapping(changed("optimizer.learning_rate", 1.0)).run_id
    )
