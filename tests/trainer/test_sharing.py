from dataclasses import replace

import pytest

from curselab.errors import InputError
from trainer.model_spec import ModelSpec
from trainer.sharing import PACK_BELOW, backend_of, most_together, share_key
from trainer.spec import ComputeSpec, ObjectiveSpec, OptimizerSpec, TrainingSpec

STUDENT = ObjectiveSpec(kind="distill", teacher="0123456789ab")
NAMED = ComputeSpec(backend="packed")


def test_small_batches_are_packed_and_what_a_pack_cannot_hold_is_not(spec) -> None:
    small = spec()
    assert backend_of(small) == "packed"
    sequences = PACK_BELOW // small.model.width // small.model.context
    large = replace(small, training=TrainingSpec(tokens=PACK_BELOW * 20, batch_sequences=sequences))
    assert backend_of(large) == "lockstep"
    # a step in parts passes as few tokens at a time
    assert backend_of(replace(large, training=replace(large.training, accumulate=2))) == "packed"
    assert backend_of(replace(small, objective=STUDENT)) == "lockstep"
    assert backend_of(replace(small, compute=ComputeSpec(threads=2))) == "lockstep"
    assert backend_of(replace(small, model=replace(small.model, dropout=0.1))) == "lockstep"
    schemes = {scheme: backend_of(replace(small, model=replace(small.model, scheme=scheme))) for scheme in ("peri", "rezero")}
    assert schemes == {"peri": "packed", "rezero": "lockstep"}
    for compute in (ComputeSpec(precision="bf16-mixed"), ComputeSpec(devices=2), ComputeSpec(accelerator="gpu")):
        assert backend_of(replace(small, compute=compute)) == "lightning"


def test_a_spec_may_name_its_backend(spec) -> None:
    for name in ("lightning", "lockstep", "packed"):
        assert backend_of(spec(compute=ComputeSpec(backend=name))) == name
    assert backend_of(spec(compute=replace(NAMED, accelerator="gpu", precision="bf16-mixed"))) == "packed"


def test_what_cannot_be_packed_is_refused_where_it_names_packed(spec) -> None:
    dropped = ModelSpec(width=16, depth=2, heads=2, ffn_width=24, context=32, dropout=0.1)
    refused = [
        spec(compute=NAMED, objective=STUDENT),
        spec(compute=NAMED, model=dropped),
        spec(compute=replace(NAMED, precision="bf16-true")),
        spec(compute=replace(NAMED, compile=True)),
    ]
    for chosen in refused:
        with pytest.raises(
            InputError, match=rf"run {chosen.run_id}: compute.backend packed takes .* choose lightning or auto"
        ):
            backend_of(chosen)


def test_a_pack_takes_any_seed_rate_and_length_of_one_shape(spec) -> None:
    base = spec()
    for other in (
        replace(base, seed=1),
        replace(base, optimizer=OptimizerSpec(learning_rate=1e-3)),
        replace(base, training=replace(base.training, tokens=99 * 256)),
    ):
        assert share_key(other) == share_key(base)
    for other in (
        replace(base, model=replace(base.model, depth=1)),
        replace(base, training=replace(base.training, batch_sequences=4)),
        replace(base, text=replace(base.text, validation_share=0.2)),
    ):
        assert share_key(other) != share_key(base)


def test_a_run_alone_shares_nothing_but_its_first_steps(spec) -> None:
    assert most_together(spec()) > 1
    assert most_together(spec(compute=ComputeSpec(backend="lockstep"))) == 1
    assert most_together(spec(compute=ComputeSpec(backend="lightning"), objective=STUDENT)) == 1
