import numpy as np
import pytest

from analysis.decisions.predict_speedup import predict_speedup
from analysis.laws.prepacking import fit_prepacking
from analysis.laws.prepacking_work import Shape
from curselab.errors import InputError
from tests.analysis.prepacking_factories import SHAPES, times

WIDE = Shape(width=100_000, depth=1, ffn_width=100_000)  # whose attention costs next to nothing


def test_where_only_slots_count_the_bounds_are_the_answers() -> None:
    """Prompts of 4, 1, 2 and 3: padding ratio 1.6, prompts over bins 4 / 3."""
    found = predict_speedup([4, 1, 2, 3], WIDE).set_index("method")
    assert found.loc["prepacking", "speedup"] == pytest.approx(4 / 3, rel=1e-4)
    assert found.loc["token_stream", "speedup"] == pytest.approx(1.6, rel=1e-4)
    assert found.loc["limit", "time_over_limit"] == 1
    assert found.loc["padded_left", "speedup"] == 1
    assert (found["padding_ratio"] == 1.6).all()
    assert found.loc["prepacking", "slots_saved"] == 0.25
    assert found["lower"].isna().all()  # of one batch there is no spread


def test_a_stream_gains_more_than_the_padding_ratio_where_attention_counts() -> None:
    """S = padding ratio x (1 + (b/a) m) / (1 + (b/a) sum l^2 / L), up to the halves of causal kernels."""
    lengths, shape = [512, 64, 32, 16], Shape(width=64, depth=2, ffn_width=172)
    found = predict_speedup(lengths, shape).set_index("method")
    pair, real = shape.pair_flop / shape.token_flop, sum(lengths)
    expected = 4 * (512 + pair * 512**2) / (real + pair * sum(n * (n + 1) / 2 for n in lengths))
    assert found.loc["token_stream", "speedup"] == pytest.approx(expected, rel=1e-12)
    assert expected > 4 * 512 / real


def test_batches_that_are_drawn_pad_as_the_distribution_says() -> None:
    """Uniform lengths: the padding ratio of k prompts is 2 k / (k + 1)."""
    found = predict_speedup(range(1, 2001), WIDE, 8, draws=200, seed=1).set_index("method")
    assert found.loc["token_stream", "padding_ratio"] == pytest.approx(16 / 9, rel=0.03)
    row = found.loc["token_stream"]
    assert row["lower"] < row["speedup"] < row["upper"]


def test_a_fit_brings_in_the_machine() -> None:
    fit = fit_prepacking(times(noise=0.02, batches=(8,)), bootstrap=20)
    lengths = np.random.default_rng(0).integers(4, 512, 500)
    found = predict_speedup(lengths, SHAPES["large"], 32, fit=fit).set_index("method")
    by_flop = predict_speedup(lengths, SHAPES["large"], 32).set_index("method")
    assert found.loc["token_stream", "time_over_limit"] > by_flop.loc["token_stream", "time_over_limit"] == 1
    assert found.loc["prepacking", "lower"] < found.loc["prepacking", "speedup"] < found.loc["prepacking", "upper"]


@pytest.mark.parametrize(
    ("lengths", "options", "words"),
    [
        ([], {}, "lengths: whole numbers"),
        ([3, 0], {}, "lengths: whole numbers"),
        ([2.5], {}, "lengths: whole numbers"),
        ([3], {"batch": 0}, "batch: 0 and draws 100"),
        ([3], {"level": 2}, "level: 2 was given"),
    ],
)
def test_bad_lengths_are_one_line(lengths: list[int], options: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        predict_speedup(lengths, WIDE, **options)
