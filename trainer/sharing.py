"""What a run can share with others, as far as its spec alone tells: its backend, and keys that bring it together with them.

No torch here: the plan of a grid needs both.
"""

from curselab.errors import InputError
from trainer.norms import rules
from trainer.spec import RunSpec
from trainer.strict import short_hash, to_mapping

PACK_BELOW = 2**15  # tokens of a pass times width: above, packs gained less than 1.1 times on a CPU (docs/log.md)


def backend_of(spec: RunSpec) -> str:
    """Backend that carries out a run; ``auto`` follows measured speed wherever the bits of Lightning, the reference, are kept.

    Raises
    ------
    InputError
        The spec names ``packed`` and cannot be packed.
    """
    compute = spec.compute
    if compute.backend == "packed" and not can_be_packed(spec):
        raise InputError(
            f"run {spec.run_id}: compute.backend packed takes training on text without dropout, pruning, compilation or a "
            "scheme that learns or ramps up its scales, on one device in 32-true or bf16-mixed; choose lightning or auto"
        )
    if compute.backend != "auto":
        return compute.backend
    if compute.accelerator != "cpu" or compute.processes > 1 or compute.precision != "32-true":
        return "lightning"
    # with several threads the bits of a member could follow how they share out a pack
    stream = spec.tokens_per_step // spec.training.accumulate * spec.model.width
    pays = compute.threads == 1 and stream < PACK_BELOW
    return "packed" if pays and can_be_packed(spec) else "lockstep"


def can_be_packed(spec: RunSpec) -> bool:
    """Tell whether the backend ``packed`` can carry out a run: no dropout, no teacher, and a shape that its spec gives."""
    compute, plain = spec.compute, spec.model.dropout == 0 and all(rule.packs for rule in rules(spec.model))
    alone = compute.processes == 1 and not compute.compile and compute.precision != "bf16-true"
    return alone and plain and spec.objective.kind == "lm" and spec.start.sparsity == 0


def trunk_key(spec: RunSpec) -> str:
    """Equal for runs that differ in their number of tokens alone: a longer one may hold a shorter one's first steps."""
    decides = to_mapping(spec)
    del decides["training"]["tokens"], decides["keep_weights"], decides["keep_optimizer"]
    return short_hash(decides)


def share_key(spec: RunSpec) -> str:
    """Equal for runs that may share work, and so belong in one shard.

    A pack takes runs of one model and batch shape on one text, of any seed, rates and length; students of one teacher share
    its passes over one order of the data; other runs share the first steps of runs of another length.
    """
    backend, training = backend_of(spec), spec.training
    if backend == "packed":
        shape = (training.batch_sequences, training.accumulate)
        return f"{short_hash(spec.model)} {spec.text.text_id} {shape} {short_hash(spec.compute)}"
    if backend == "lockstep" and spec.objective.kind == "distill":
        # all that decides a batch, and how a step is cut into batches; the number of tokens does not
        stream = short_hash({**to_mapping(training), "tokens": None, "context": spec.model.context, "seed": spec.seed})
        return f"{spec.objective.teacher} {spec.text.text_id} {stream} {short_hash(spec.compute)}"
    return trunk_key(spec)


def most_together(spec: RunSpec) -> int:
    """Runs that may share their steps; more would gain nothing, and keep other workers waiting."""
    backend = backend_of(spec)
    if backend == "packed":
        return 8 if spec.compute.accelerator == "cpu" else 64
    return 8 if backend == "lockstep" and spec.objective.kind == "distill" else 1
