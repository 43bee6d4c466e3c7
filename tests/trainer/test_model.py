import dataclasses
import math

import pytest
import torch

from tests.trainer.peers import llama
from trainer.flops import count_parameters
from trainer.losses import text_loss
from trainer.model import Decoder, rotary_table
from trainer.model_spec import ModelSpec

SPEC = ModelSpec(width=32, depth=3, heads=2, ffn_width=48, context=24)
GPT2 = dataclasses.replace(SPEC, norm="layer", positions="learned", ffn="gelu", ffn_width=128)
OPTIONS = [dataclasses.replace(SPEC, **option) for option in ({"norm": "layer"}, {"positions": "learned"}, {"ffn": "gelu"})]
VOCAB = 61


def tokens(seed: int = 0, length: int = 24) -> torch.Tensor:
    return torch.randint(VOCAB, (4, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("tied", [True, False])
def test_logits_equal_those_of_hugging_face_llama_with_the_same_weights(tied: bool) -> None:
    spec = ModelSpec(width=32, depth=3, heads=2, ffn_width=48, context=24, tie_embeddings=tied)
    ours = Decoder(spec, VOCAB, seed=1)
    theirs = llama(ours)
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens()), theirs(tokens()).logits, atol=2e-5, rtol=1e-4)


def test_logits_equal_those_of_hugging_face_gpt2_with_the_same_weights() -> None:
    transformers = pytest.importorskip("transformers", reason="peer implementation, extra hub")
    ours = Decoder(GPT2, VOCAB, seed=1)
    config = transformers.GPT2Config(
        vocab_size=VOCAB,
        n_embd=GPT2.width,
        n_inner=GPT2.ffn_width,
        n_layer=GPT2.depth,
        n_head=GPT2.heads,
        n_positions=GPT2.context,
        layer_norm_epsilon=GPT2.norm_epsilon,
        activation_function="gelu",
    )
    with torch.random.fork_rng():
        theirs = transformers.GPT2LMHeadModel(config).eval()
    state = {name: torch.zeros_like(value) for name, value in theirs.state_dict().items()}  # all biases are zero
    state |= {"transformer.wte.weight": ours.embedding.weight, "transformer.wpe.weight": ours.position.weight}
    state |= {"transformer.ln_f.weight": ours.norm.weight, "lm_head.weight": ours.head.weight}
    for i, block in enumerate(ours.blocks):
        layer = {
            "ln_1": block.attention_norm.weight,
            "attn.c_attn": block.attention.qkv.weight.T,
            "attn.c_proj": block.attention.out.weight.T,
            "ln_2": block.ffn_norm.weight,
            "mlp.c_fc": block.ffn.into.weight.T,
            "mlp.c_proj": block.ffn.down.weight.T,
        }
        state |= {f"transformer.h.{i}.{name}.weight": weight for name, weight in layer.items()}
    theirs.load_state_dict({name: weight.detach() for name, weight in state.items()}, strict=True)
    ours.eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens()), theirs(tokens()).logits, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("spec", [SPEC, GPT2])
def test_one_batch_is_learnt_by_heart(spec: ModelSpec) -> None:
    model = Decoder(spec, VOCAB, seed=0)
    batch = tokens(length=25)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = text_loss(model, batch)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_dropout_is_for_training_alone() -> None:
    model = Decoder(dataclasses.replace(GPT2, dropout=0.5), VOCAB, seed=0)
    without = Decoder(GPT2, VOCAB, seed=0)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        first, second = model(tokens()), model(tokens())
        assert not torch.allclose(first, second)
        assert torch.equal(model.eval()(tokens()), without.eval()(tokens()))


@pytest.mark.parametrize("spec", [SPEC, GPT2, *OPTIONS])
def test_a_later_token_leaves_earlier_logits_alone(spec: ModelSpec) -> None:
    model = Decoder(spec, VOCAB, seed=0)
    batch = tokens()
    other = batch.clone()
    other[:, 15] = (other[:, 15] + 1) % VOCAB
    with torch.no_grad():
        before, after = model(batch), model(other)
    assert torch.equal(before[:, :15], after[:, :15])
    assert not torch.allclose(before[:, 15:], after[:, 15:])


SCHEMES = [
    dataclasses.replace(SPEC, scheme=scheme) for scheme in ("post", "peri", "sandwich", "skipinit", "rezero", "layerscale")
]


@pytest.mark.parametrize("spec", [SPEC, dataclasses.replace(SPEC, tie_embeddings=False), GPT2, *OPTIONS, *SCHEMES])
def test_parameter_counts_equal_the_model(spec: ModelSpec) -> None:
    model = Decoder(spec, VOCAB, seed=0)
    counts = count_parameters(spec, VOCAB)
    assert counts.total == sum(p.numel() for p in model.parameters())
    embeddings = {model.embedding.weight, model.head.weight, *(p for n, p in model.named_parameters() if "position" in n)}
    assert counts.non_embedding == counts.total - sum(p.numel() for p in embeddings)


def test_an_untrained_model_knows_nothing() -> None:
    model = Decoder(SPEC, VOCAB, seed=0)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(model(tokens()).flatten(0, 1), tokens(1).flatten())
    assert float(loss) == pytest.approx(math.log(VOCAB), abs=0.05)


def test_seed_decides_the_weights_and_the_global_generator_is_left_alone() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (Decoder(SPEC, VOCAB, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)


def test_rotation_depends_on_distance_alone() -> None:
    # the point of rotary positions (2104.09864, section 3.2): q_m . k_n depends on m - n
    cosine, sine = rotary_table(32, 8, 10_000.0)
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(8, generator=generator), torch.randn(8, generator=generator)

    def turned(x: torch.Tensor, position: int) -> torch.Tensor:
        half = torch.cat((-x[4:], x[:4]))
        return x * cosine[position] + half * sine[position]

    near = turned(query, 9) @ turned(key, 4)
    far = turned(query, 29) @ turned(key, 24)
    torch.testing.assert_close(near, far, atol=1e-5, rtol=1e-5)
