"""LayerNorm Scaling folded away, for tools that know nothing of it."""

from dataclasses import replace

import torch
from torch import nn

from trainer.model import Block, Decoder


@torch.no_grad()
def fold(model: Decoder) -> Decoder:
    """Return the Pre-LN model with the same logits: each gain takes over the multiplier of its block.

    The function is the same, training is not: under AdamW the multiplier also scales a gain's learning rate.

    Parameters
    ----------
    model : Decoder
        Of scheme ``lns``, or ``lns_gamma_init``, whose gains already are what they are.

    Raises
    ------
    ValueError
        The scheme is another one.
    """
    if model.spec.scheme not in ("lns", "lns_gamma_init"):
        raise ValueError(f"scheme {model.spec.scheme}: only lns and lns_gamma_init fold into gains")
    folded = Decoder(replace(model.spec, scheme="pre"), model.embedding.num_embeddings, seed=0)
    folded.load_state_dict(model.state_dict())
    for block, source in zip(folded.blocks, model.blocks, strict=True):
        assert isinstance(block, Block)
        assert isinstance(source, Block)
        for norm in (block.attention_norm, block.ffn_norm):
            assert isinstance(norm, nn.RMSNorm | nn.LayerNorm)
            norm.weight.mul_(source.rule.input)
    return folded
