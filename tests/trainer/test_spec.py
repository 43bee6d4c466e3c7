"""Specs that make no sense are one line that names the key."""

import json
import math

import pytest

from curselab.errors import InputError
from trainer.spec import RunSpec
from trainer.strict import to_mapping

GOOD = {
    "model": {"width": 16, "depth": 2, "heads": 1, "ffn_width": 40},
    "training": {"tokens": 10_240, "batch_sequences": 4},
    "optimizer": {"learning_rate": 0.01},
}


def changed(dotted: str, value: object) -> dict:
    mapping = json.loads(json.dumps(GOOD))
    *parents, last = dotted.split(".")
    place = mapping
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return mapping


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("optimizer.learning_rate", math.nan, "learning_rate: nan was given, a finite number above 0"),
        ("optimizer.learning_rate", math.inf, "learning_rate: inf was given, a finite number above 0"),
        ("optimizer.learning_rate", "3e-4", "optimizer.learning_rate: the string '3e-4' was given"),
        ("optimizer.weight_decay_embedding", math.nan, "weight_decay_embedding: nan was given"),
        ("model.heads", 3, "heads: 3 was given, a divisor of width / 2"),
        ("model.context", 0, "context: 0 was given, 1 or more"),
        ("model.scheme", "sub-ln", r"model.scheme: the string 'sub-ln' was given \(allowed: pre, post, mix, deepnorm"),
        ("model.embedding_std", 0.0, "embedding_std: 0.0 was given, a number above 0"),
        ("probes.ablations", ["moved"], r"probes.ablations\[0\]: the string 'moved' was given \(allowed: removed, swapped"),
        ("probes", {"tokens": -1}, "tokens: -1 was given, 0 or more"),
        ("training.tokens", 100, "training.tokens: 100 was given, at least one batch of 512 tokens"),
        ("training.accumulate", 3, "accumulate: 3 was given, a divisor of batch_sequences = 4"),
        ("training.mixture", [{"domain": "prose", "share": 0.7}], "shares that sum to 0.7"),
        ("training.mixture", [{"domain": "a", "share": 0.5}] * 2, "each domain once"),
        ("training.mixture", [{"domain": "a", "part": 0.5}], r"mixture\[0\]\.part: unknown key"),
        ("text.tokenizer", {"kind": "bytes", "vocab_size": 100}, "vocab_size: 100 was given, 256"),
        ("text.tokenizer", {"kind": "bpe", "vocab_size": 256}, "vocab_size: 256 was given, 257 or more"),
        ("schedule.warmup_tokens", 1.5, "schedule.warmup_tokens: 1.5 was given, a whole number"),
        ("schedule.kind", "linear", r"schedule.kind: the string 'linear' was given \(allowed: cosine, wsd, constant, given\)"),
        ("evaluation.factor", 1.0, "factor: 1.0 was given, a finite number above 1"),
        ("compute.devices", 3, "compute.devices: 3 was given, a divisor of"),
        ("start.base", "abc", "base: the string 'abc' was given, a run id of 12 hex digits"),
        ("start.optimizer", "kept", "there is no start.base"),
        ("keep_optimizer", True, "keep_optimizer: True was given, keep_weights: true beside it"),
    ],
)
def test_a_bad_value_is_one_line_that_names_its_key(key: str, value: object, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        RunSpec.from_mapping(changed(key, value))
    assert "\n" not in str(caught.value)


def test_only_pre_norm_models_are_pruned() -> None:
    cut = changed("start", {"base": "0123456789ab", "sparsity": 0.5})
    assert RunSpec.from_mapping(cut).start.sparsity == 0.5
    cut["model"]["scheme"] = "peri"
    with pytest.raises(InputError, match=r"start.sparsity: 0.5 was given, 0 \(model.scheme is peri; only pre is pruned\)"):
        RunSpec.from_mapping(cut)


def test_a_spec_survives_json_with_its_id() -> None:
    mixture = [{"domain": "prose", "share": 0.25}, {"domain": "code", "share": 0.75}]
    spec = RunSpec.from_mapping(changed("training.mixture", mixture))
    assert RunSpec.from_mapping(json.loads(json.dumps(to_mapping(spec)))) == spec
    assert RunSpec.from_mapping(to_mapping(spec)).run_id == spec.run_id


def test_a_younger_field_at_its_default_leaves_the_id_as_it_was() -> None:
    # the id that this spec had before there was a field model.scheme
    assert RunSpec.from_mapping(GOOD).run_id == "360edad2944a"
    assert RunSpec.from_mapping(changed("model.scheme", "pre")).run_id == "360edad2944a"
    assert RunSpec.from_mapping(changed("model.scheme", "peri")).run_id != "360edad2944a"
    assert "scheme" not in to_mapping(RunSpec.from_mapping(GOOD))["model"]


def test_every_field_decides_the_id() -> None:
    ids = {
        RunSpec.from_mapping(changed(key, value)).run_id
        for key, value in [
            ("seed", 0),
            ("seed", 1),
            ("training.accumulate", 2),
            ("optimizer.weight_decay_norm", 0.1),
            ("schedule.warmup_tokens", 512),
            ("evaluation.curve_tokens", 512),
            ("compute.threads", 2),
            ("start.base", "0123456789ab"),
        ]
    }
    assert len(ids) == 8
