"""Parameters and FLOPs of a model under each named convention, without building it.

Fitted exponents move with the counting convention, so every count here says which one it is.
"""

from dataclasses import dataclass

from trainer.model_spec import ModelSpec
from trainer.norms import norms_embedding, rules
from trainer.spec import RunSpec


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters by group; a tied head is counted once, as embedding."""

    embedding: int
    positions: int
    head: int
    attention: int
    ffn: int
    norms: int
    """Gains, and what a scheme learns to scale branches by."""

    @property
    def total(self) -> int:
        """All parameters: the convention of Hoffmann et al. (2203.15556)."""
        return self.embedding + self.positions + self.head + self.attention + self.ffn + self.norms

    @property
    def non_embedding(self) -> int:
        """Without embedding, learned positions and head: the convention of Kaplan et al. (2001.08361)."""
        return self.attention + self.ffn + self.norms


def count_parameters(model: ModelSpec, vocab_size: int) -> Parameters:
    """Count parameters by group.

    Parameters
    ----------
    model : ModelSpec
    vocab_size : int
        Tokens in the vocabulary.
    """
    return Parameters(
        embedding=vocab_size * model.width,
        positions=model.context * model.width if model.positions == "learned" else 0,
        head=0 if model.tie_embeddings else vocab_size * model.width,
        attention=4 * model.width * model.features_per_head * sum(model.heads_by_block),
        ffn=(3 if model.ffn == "swiglu" else 2) * model.width * sum(model.ffn_widths_by_block),
        norms=_norms(model),
    )


def _norms(model: ModelSpec) -> int:
    in_blocks, learned = 0, {"": 0, "scalar": 1, "features": model.width}
    for rule in rules(model):
        in_blocks += 2 * ((rule.norm_in + rule.norm_out + rule.norm_sum) * model.width + learned[rule.learned])
    return in_blocks + (1 + norms_embedding(model)) * model.width


def forward_flop_per_token(model: ModelSpec, vocab_size: int) -> int:
    """FLOP of the matrix products of one forward pass, per token.

    Two FLOP a multiply-add: all weight matrices, the head, and attention over the full context (as a kernel without causal
    skipping does it). Norms, softmax and activations are left out; they are below 5 % from width 64 up.
    """
    counts = count_parameters(model, vocab_size)
    weights = counts.attention + counts.ffn + vocab_size * model.width
    attention_scores = 2 * model.context * model.features_per_head * sum(model.heads_by_block)
    return 2 * (weights + attention_scores)


def train_flop(spec: RunSpec, *, model: ModelSpec | None = None, teacher: ModelSpec | None = None) -> float:
    """FLOP of a whole run: three forward passes a token (one forward, two for backward), and one of the teacher's.

    Parameters
    ----------
    spec : RunSpec
    model : ModelSpec, optional
        The shape that is trained, where pruning has changed that of the spec.
    teacher : ModelSpec, optional
        The teacher's shape when the objective is distillation.
    """
    vocab_size = spec.text.tokenizer.vocab_size
    per_token = 3 * forward_flop_per_token(model or spec.model, vocab_size)
    if teacher is not None:
        per_token += forward_flop_per_token(teacher, vocab_size)
    return float(per_token * spec.steps * spec.tokens_per_step)
