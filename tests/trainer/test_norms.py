"""Each scheme against its formula written out by hand, and initial variances against closed forms and a published table."""

import argparse
import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor

from curselab.errors import InputError
from trainer.layer_streams import stream_rows
from trainer.model import Block, Decoder
from trainer.model_spec import ModelSpec, Scheme
from trainer.norms import RULES, branch_scale, deepnorm_beta, rules
from trainer.optimizer import make_optimizer
from trainer.stack import DecoderStack

DEPTH = 8
Map = Callable[[Tensor], Tensor]


def model_spec(scheme: str, **fields: object) -> ModelSpec:
    initialisation = "deepnorm" if scheme == "deepnorm" else "plain"
    fields = {
        "width": 16,
        "depth": DEPTH,
        "heads": 2,
        "ffn_width": 24,
        "context": 12,
        "initialisation": initialisation,
    } | fields
    return ModelSpec(scheme=scheme, **fields)  # type: ignore[arg-type]


def rms(x: Tensor, gain: Tensor) -> Tensor:
    return gain * x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()


# x: stream, F: sub-layer, N: norm with the sub-layer's gain, M: norm with its second gain, n: block from 1, s: learned scale
FORMULAS: dict[str, Callable[[Tensor, Map, Map, Map, int, Tensor], Tensor]] = {
    "pre": lambda x, F, N, M, n, s: x + F(N(x)),
    "post": lambda x, F, N, M, n, s: N(x + F(x)),
    "mix": lambda x, F, N, M, n, s: N(x + F(x)) if n <= 2 else x + F(N(x)),  # a quarter of 8
    "deepnorm": lambda x, F, N, M, n, s: N(2 * x + F(x)),  # (2 * 8)^(1/4)
    "lns": lambda x, F, N, M, n, s: x + F(N(x) / math.sqrt(n)),
    "lns_gamma_init": lambda x, F, N, M, n, s: x + F(N(x)),
    "branch_sqrt": lambda x, F, N, M, n, s: x + F(N(x)) / math.sqrt(n),
    "peri": lambda x, F, N, M, n, s: x + M(F(N(x))),
    "sandwich": lambda x, F, N, M, n, s: x + M(F(N(x))),
    "skipinit": lambda x, F, N, M, n, s: x + s * F(N(x)),
    "rezero": lambda x, F, N, M, n, s: x + s * F(x),
    "layerscale": lambda x, F, N, M, n, s: x + s * F(N(x)),
    "prores": lambda x, F, N, M, n, s: x + min(3 / (2 * n), 1) * F(N(x)),  # 3 steps done, T = 2
}


def shaken(spec: ModelSpec) -> Decoder:
    """A decoder of doubles whose gains and scales are all different."""
    model, generator = Decoder(spec, 61, seed=0).double(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.5 + torch.rand(parameter.shape, generator=generator)
    return model


def test_the_table_names_every_scheme() -> None:
    assert set(RULES) == set(get_args(Scheme)) == set(FORMULAS)


@pytest.mark.parametrize("scheme", FORMULAS)
def test_every_scheme_follows_its_formula(scheme: str) -> None:
    model = shaken(model_spec(scheme, prores_steps=2))
    if scheme == "prores":
        for _ in range(3):
            model.count_step()
    tokens = torch.randint(61, (2, 12), generator=torch.Generator().manual_seed(0))
    x = model.embedding(tokens)
    if scheme == "peri":
        x = rms(x, model.embedding_norm.weight)
    for n, block in enumerate(model.blocks, start=1):
        assert isinstance(block, Block)
        for part, F in (("attention", lambda y, b=block: b.attention(y, model.cosine, model.sine)), ("ffn", block.ffn)):
            gains = [getattr(getattr(block, f"{part}{end}"), "weight", None) for end in ("_norm", "_out_norm")]
            N, M = (lambda y, g=gain: rms(y, g) for gain in gains)
            x = FORMULAS[scheme](x, F, N, M, n, getattr(block, f"{part}_scale"))
    torch.testing.assert_close(model(tokens), model.head(rms(x, model.norm.weight)), atol=1e-7, rtol=1e-7)


def test_initial_gains_and_scales_are_those_of_the_papers() -> None:
    def first(scheme: str, name: str, number: int, depth: int = DEPTH) -> Tensor:
        return getattr(Decoder(model_spec(scheme, depth=depth), 61, seed=0).blocks[number - 1], name)

    torch.testing.assert_close(first("lns_gamma_init", "ffn_norm", 4).weight, torch.full((16,), 0.5))
    torch.testing.assert_close(first("skipinit", "attention_scale", 3, 16).data, torch.tensor([0.25]))
    assert not first("rezero", "ffn_scale", 3).any()
    for depth, start in ((18, 0.1), (24, 1e-5), (25, 1e-6)):
        torch.testing.assert_close(first("layerscale", "ffn_scale", 1, depth).data, torch.full((16,), start))


@pytest.mark.parametrize(("depth", "alpha", "beta"), [(12, 2.2134, 0.3195), (24, 2.6321, 0.2686)])
def test_deepnorm_has_its_two_constants_and_xavier_weights(depth: int, alpha: float, beta: float) -> None:
    # Wang et al. (2203.00555), table 1, decoder only: alpha = (2 L)^(1/4) and beta = (8 L)^(-1/4), which is below 1
    spec = model_spec("deepnorm", depth=depth, width=64, ffn_width=128)
    assert [rule.stream for rule in rules(spec)] == pytest.approx([alpha] * depth, abs=1e-4)
    assert deepnorm_beta(spec) == pytest.approx(beta, abs=1e-4)
    blocks = [block for block in Decoder(spec, 61, seed=0).blocks if isinstance(block, Block)]
    query, key, value = torch.stack([block.attention.qkv.weight for block in blocks]).chunk(3, dim=1)
    gate, up = torch.stack([block.ffn.into.weight for block in blocks]).chunk(2, dim=1)
    out, down = (
        torch.stack(each) for each in zip(*((b.attention.out.weight, b.ffn.down.weight) for b in blocks), strict=True)
    )
    square, oblong = 1 / math.sqrt(64), math.sqrt(2 / (64 + 128))
    wanted = {square: (query, key), beta * square: (value, out), beta * oblong: (gate, up, down)}
    for std, weights in wanted.items():
        for weight in weights:
            assert float(weight.detach().std()) == pytest.approx(std, rel=5 / math.sqrt(2 * weight.numel()))


@pytest.mark.parametrize("initialisation", ["plain", "scaled", "depth_scaled"])
def test_what_writes_to_the_stream_is_scaled_as_the_initialisation_says(initialisation: str) -> None:
    spec = model_spec("pre", width=64, ffn_width=128, initialisation=initialisation, embedding_std=0.3)
    model = Decoder(spec, 256, seed=0)
    assert float(model.embedding.weight.detach().std()) == pytest.approx(0.3, rel=5 / math.sqrt(2 * 256 * 64))
    for n, block in enumerate(model.blocks, start=1):
        assert isinstance(block, Block)
        scale = {"plain": 1.0, "scaled": 0.25, "depth_scaled": 1 / math.sqrt(2 * n)}[initialisation]  # 1 / sqrt(2 * 8)
        assert branch_scale(spec, n) == pytest.approx(scale)
        matrices = ((block.attention.qkv, 1), (block.ffn.into, 1), (block.attention.out, scale), (block.ffn.down, scale))
        for matrix, factor in matrices:
            std = factor * matrix.in_features**-0.5
            assert float(matrix.weight.detach().std()) == pytest.approx(std, rel=5 / math.sqrt(2 * matrix.weight.numel()))


def test_a_ramp_counts_the_steps_of_the_optimiser(spec) -> None:
    chosen = spec(model=model_spec("prores", prores_steps=4))
    model = Decoder(chosen.model, 61, seed=0)
    optimizer, _ = make_optimizer(chosen, model)
    for _ in range(2):
        model(torch.zeros(1, 4, dtype=torch.long)).sum().backward()
        optimizer.step()
    assert [int(block.steps) for block in model.blocks] == [2] * DEPTH
    assert [float(block._ramp()) for block in model.blocks[:2]] == [0.5, 0.25]


def test_shrinking_deep_branches_twice_is_warned_of_and_deepnorm_keeps_its_initialisation() -> None:
    for scheme in ("lns", "lns_gamma_init"):
        with pytest.warns(UserWarning, match=f"scheme {scheme} with initialisation scaled shrinks deep branches twice"):
            model_spec(scheme, initialisation="scaled")
    with pytest.raises(InputError, match=r"initialisation: .*'scaled' was given, deepnorm \(scheme is deepnorm\) is needed"):
        model_spec("deepnorm", initialisation="scaled")
    with pytest.raises(InputError, match=r"initialisation: .*'deepnorm' was given, another \(scheme is pre\) is needed"):
        model_spec("pre", initialisation="deepnorm")


def swiglu_variance(variance: float) -> float:
    """E[(silu(g) u)^2] of independent normal g and u of one variance: what a SwiGLU of unit fan-in weights writes."""
    std = math.sqrt(variance)

    def integrand(g: float) -> float:
        return (g / (1 + math.exp(-g))) ** 2 * math.exp(-0.5 * (g / std) ** 2) / (std * math.sqrt(2 * math.pi))

    return variance * integrate.quad(integrand, -12 * std, 12 * std)[0]


@pytest.mark.parametrize(
    ("scheme", "initialisation", "closed_form"),
    [
        ("pre", "plain", lambda n: swiglu_variance(1)),
        ("pre", "scaled", lambda n: swiglu_variance(1) / (2 * DEPTH)),
        ("pre", "depth_scaled", lambda n: swiglu_variance(1) / (2 * n)),
        ("lns", "plain", lambda n: swiglu_variance(1 / n)),  # degree 2 at small input, so it falls faster than 1 / n
        ("lns_gamma_init", "plain", lambda n: swiglu_variance(1 / n)),
        ("branch_sqrt", "plain", lambda n: swiglu_variance(1) / n),
        ("peri", "plain", lambda n: 1.0),
        ("post", "plain", lambda n: swiglu_variance(1)),
    ],
)
def test_initial_branch_variances_are_those_of_closed_forms(scheme: str, initialisation: str, closed_form) -> None:
    tokens = torch.randint(256, (4, 33), generator=torch.Generator().manual_seed(0))
    spec = model_spec(scheme, width=128, ffn_width=256, context=32, initialisation=initialisation, embedding_std=0.632)
    found = np.empty((6, DEPTH))
    for seed in range(6):
        for row in stream_rows(DecoderStack(Decoder(spec, 256, seed=seed)), tokens):
            if (row.part, row.metric) == ("ffn", "branch_variance"):
                found[seed, row.layer - 1] = row.value
    expected = np.array([closed_form(n) for n in range(1, DEPTH + 1)])
    ratio = found / expected
    error = ratio.std(ddof=1) / math.sqrt(ratio.size)
    # mean and profile, within sampling error; the mean over width of a centred norm loses 1 / width
    assert ratio.mean() == pytest.approx(1, abs=4 * error + 2 / 128)
    assert ratio.mean(0) == pytest.approx(1, abs=5 * ratio.std(ddof=1) / math.sqrt(6) + 2 / 128)


PUBLISHED = {
    "pre": ("pre", "plain"),
    "lns": ("lns", "plain"),
    "pre_scaled": ("pre", "scaled"),
    "peri": ("sandwich", "plain"),  # its embedding is not normed
    "pre_outscale": ("branch_sqrt", "plain"),
}


def profile(scheme: str, initialisation: str, seed: int) -> np.ndarray:
    """Variance of the stream after 0 to 48 blocks, weights as in the table: 0.554 / sqrt(width) for every matrix."""
    raw = Path(argparse.__file__).read_bytes()
    windows = torch.stack([torch.tensor(list(raw[start : start + 64])) for start in range(2000, 20_000, 3000)])
    spec = model_spec(
        scheme, width=128, depth=48, heads=4, ffn_width=344, context=64, initialisation=initialisation,
        embedding_std=math.sqrt(0.4), tie_embeddings=False, norm_epsilon=1e-6,
    )  # fmt: skip
    model = Decoder(spec, 256, seed=seed)
    with torch.no_grad():
        for block in model.blocks:
            assert isinstance(block, Block)
            for matrix in (block.attention.qkv, block.attention.out, block.ffn.into, block.ffn.down):
                matrix.weight *= 0.554 * math.sqrt(matrix.in_features / 128)
        stack = DecoderStack(model)
        streams = [stack.embed(windows)]
        for number in range(48):
            streams.append(stack.block(number, streams[-1]))
    return np.array([float(x.var(-1, correction=0).mean()) for x in streams])


@pytest.mark.parametrize("mode", PUBLISHED)
def test_initial_profiles_of_variance_agree_with_an_independent_table(shared: Path, mode: str) -> None:
    with (shared / "data/published/curse_of_depth_init_profile.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if (row["mode"], row["embedding_std"]) == (mode, "sqrt(2/5)")]
    theirs = np.log([float(row["variance"]) for row in rows])
    ours = np.log([profile(*PUBLISHED[mode], seed) for seed in range(4)])
    # both are draws of one distribution: theirs is one of a single seed
    assert np.abs(ours.mean(0) - theirs).max() < 4 * ours.std(0, ddof=1).max() * math.sqrt(1 + 1 / 4)
    depth = np.log(np.arange(8, 49))
    exponents = [np.polyfit(depth, each[8:], 1)[0] for each in (theirs, *ours)]
    spread = np.std(exponents[1:], ddof=1) * math.sqrt(1 + 1 / 4)
    assert exponents[0] == pytest.approx(np.mean(exponents[1:]), abs=4 * spread)
    law = {"pre": 1, "peri": 1, "lns": 0, "pre_scaled": 0, "pre_outscale": 0}[mode]
    assert np.mean(exponents[1:]) == pytest.approx(law, abs=0.12)


def test_layernorm_scaling_grows_like_the_logarithm_and_not_like_a_line() -> None:
    # v = v0 + b H_l against v = v0 + b l, both with two free numbers
    ours = np.mean([profile("lns", "plain", seed) for seed in range(4)], axis=0)[1:]
    layers = np.arange(1, 49)
    misfit = [
        np.linalg.lstsq(np.column_stack((np.ones(48), growth)), ours, rcond=None)[1][0]
        for growth in (np.cumsum(1 / layers), layers)
    ]
    assert misfit[0] < 0.2 * misfit[1]
