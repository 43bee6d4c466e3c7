"""Our decoder in the hands of other implementations."""

import pytest
import torch

from trainer.model import Decoder


def llama(ours: Decoder) -> torch.nn.Module:
    """Hugging Face's Llama with the weights of one of ours; skips where transformers is not installed."""
    transformers = pytest.importorskip("transformers", reason="peer implementation, extra hub")
    spec = ours.spec
    config = transformers.LlamaConfig(
        vocab_size=ours.embedding.num_embeddings,
        hidden_size=spec.width,
        intermediate_size=spec.ffn_width,
        num_hidden_layers=spec.depth,
        num_attention_heads=spec.heads,
        max_position_embeddings=spec.context,
        rms_norm_eps=spec.norm_epsilon,
        rope_theta=spec.rope_theta,
        tie_word_embeddings=spec.tie_embeddings,
        attention_bias=False,
        mlp_bias=False,
    )
    with torch.random.fork_rng():
        theirs = transformers.LlamaForCausalLM(config).eval()
    state = {"model.embed_tokens.weight": ours.embedding.weight, "model.norm.weight": ours.norm.weight}
    state["lm_head.weight"] = ours.head.weight
    for i, block in enumerate(ours.blocks):
        query, key, value = block.attention.qkv.weight.chunk(3)
        gate, up = block.ffn.into.weight.chunk(2)
        layer = {
            "self_attn.q_proj": query,
            "self_attn.k_proj": key,
            "self_attn.v_proj": value,
            "self_attn.o_proj": block.attention.out.weight,
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": block.ffn.down.weight,
            "input_layernorm": block.attention_norm.weight,
            "post_attention_layernorm": block.ffn_norm.weight,
        }
        state |= {f"model.layers.{i}.{name}.weight": weight for name, weight in layer.items()}
    theirs.load_state_dict({name: weight.detach() for name, weight in state.items()}, strict=True)
    return theirs
