"""Bytes of memory that a run needs, from its spec alone. No torch here: the plan of a grid asks."""

from trainer.flops import count_parameters
from trainer.model_spec import ModelSpec
from trainer.spec import RunSpec

BASE = 400e6  # torch itself, in bytes


def estimate_bytes(spec: RunSpec, vocab_size: int, *, teacher: ModelSpec | None = None) -> float:
    """Bytes that one device needs to train a run, to within a factor of two.

    Everything in 4 bytes: weights, gradients and AdamW's two moments; activations kept for the backward pass, per token and
    block eight residual-wide tensors of attention and norms and five of the feed-forward network; logits and their gradient.

    Parameters
    ----------
    spec : RunSpec
    vocab_size : int
        Tokens in the vocabulary.
    teacher : ModelSpec, optional
        The teacher's shape when the objective is distillation.
    """
    model = spec.model
    tokens = spec.tokens_per_step / spec.training.accumulate / spec.compute.processes
    floats = 4.0 * count_parameters(model, vocab_size).total
    floats += tokens * model.depth * (8 * model.width + 5 * model.ffn_width)
    floats += tokens * 2 * vocab_size
    if teacher is not None:
        floats += count_parameters(teacher, vocab_size).total + tokens * vocab_size
    return BASE + 4 * floats
