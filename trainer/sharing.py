"""What a run can share with others, as far as its spec alone tells: its backend, and keys that bring it together with them.

No torch here: the plan of a grid needs both.
"""

from trainer.spec import RunSpec
from trainer.strict import short_hash, to_mapping


def backend_of(spec: RunSpec) -> str:
    """Backend that carries out a run; ``auto`` is the plain loop wherever it gives the bits of Lightning, the reference."""
    compute = spec.compute
    if compute.backend != "auto":
        return compute.backend
    plain = compute.accelerator == "cpu" and compute.devices == 1 and compute.precision == "32-true"
    return "lockstep" if plain else "lightning"


def trunk_key(spec: RunSpec) -> str:
    """Equal for runs that differ in their number of tokens alone: a longer one may hold a shorter one's first steps."""
    decides = to_mapping(spec)
    del decides["training"]["tokens"], decides["keep_weights"], decides["keep_optimizer"]
    return short_hash(decides)


def share_key(spec: RunSpec) -> str:
    """Equal for runs that may share work, and so belong in one shard."""
    if backend_of(spec) == "lockstep" and spec.objective.kind == "distill":
        stream = (spec.training.split, spec.training.batch_sequences, spec.model.context, spec.seed)
        return f"{spec.objective.teacher} {spec.text.text_id} {stream} {short_hash(spec.compute)}"
    return trunk_key(spec)


def most_together(spec: RunSpec) -> int:
    """Runs that may share their steps; more would only keep other workers waiting."""
    return 8 if backend_of(spec) == "lockstep" and spec.objective.kind == "distill" else 1
