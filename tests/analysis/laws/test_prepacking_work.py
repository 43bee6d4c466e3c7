import numpy as np
import pytest

from analysis.laws.prepacking_work import SYMBOLS, Shape, count_work, shapes_of, terms
from curselab.errors import InputError
from tests.analysis.prepacking_factories import times
from trainer.flops import count_parameters, forward_flop_per_token
from trainer.model_spec import ModelSpec
from trainer.prefill_plan import METHODS


def test_flop_of_a_token_and_a_pair_are_those_of_the_trainer() -> None:
    model = ModelSpec(width=64, depth=3, heads=2, ffn_width=172, context=128)
    shape = Shape(width=64, depth=3, ffn_width=172)
    counts = count_parameters(model, 1)
    assert shape.token_flop == 2 * (counts.attention + counts.ffn)
    assert shape.token_flop + 128 * shape.pair_flop == forward_flop_per_token(model, 0)


def test_grouped_keys_and_values_have_smaller_matrices_and_as_many_pairs() -> None:
    """Llama-3 8B: 32 blocks of 4096, 14336, 32 heads of 128 and 8 of keys and values, 218.1M weights each."""
    shape = Shape(width=4096, depth=32, ffn_width=14336, kv_width=1024)
    assert shape.token_flop == 2 * 32 * 218_103_808
    assert shape.pair_flop == Shape(width=4096, depth=32, ffn_width=1).pair_flop


def test_work_of_a_batch_is_that_of_the_formulas() -> None:
    lengths, shape = [300, 100, 40, 25], Shape(width=64, depth=2, ffn_width=172)
    work = count_work(lengths, shape, limit=True).set_index("method")
    half = sum(length * (length + 1) // 2 for length in lengths)
    assert work.loc["padded_left", ["tokens", "masked_pairs"]].tolist() == [1200, 4 * 300**2]
    assert work.loc["padded_right", ["tokens", "causal_pairs"]].tolist() == [1200, 4 * 300 * 301 // 2]
    assert work.loc["prepacking", ["tokens", "masked_pairs", "calls"]].tolist() == [600, 2 * 300**2, 1]
    assert work.loc["token_stream", ["tokens", "causal_pairs", "kernels"]].tolist() == [465, half, 4]
    assert work.loc["limit"].tolist() == [465, 0, half, 0, 0, 0]
    tokens, columns = terms(work.reset_index(), [shape] * len(work))
    assert tokens.tolist() == work["tokens"].tolist()
    pair, layer = shape.pair_flop / shape.token_flop, 2e6 / shape.token_flop
    np.testing.assert_allclose(columns[0], [0, 0, 4 * 300**2 * pair, 1, layer, layer])
    assert columns.shape == (len(METHODS) + 1, len(SYMBOLS))


def test_large_tensors_are_those_of_32_mib_and_more() -> None:
    """A slot has at most 2 x 688 features of 4 bytes: of 16 prompts of 512 the largest tensor is of 43 MiB, the next of 24."""
    shape = Shape(width=256, depth=4, ffn_width=688)
    work = count_work([512] * 16, shape).set_index("method")
    assert work.loc["padded_right", "large_bytes"] == 16 * 512 * 2 * 688 * 4
    assert work.loc["token_stream", "large_bytes"] == 0
    assert count_work([512] * 8, shape)["large_bytes"].tolist() == [0] * len(METHODS)


def test_shapes_are_read_from_a_table() -> None:
    table = times(distributions=("lognormal",), batches=(8,))
    assert {shape.width for shape in shapes_of(table)} == {64, 256}


def test_a_bad_shape_is_one_line() -> None:
    with pytest.raises(InputError, match="shape: depth 0 was given, 1 or more is needed"):
        Shape(width=4, depth=0, ffn_width=4)
