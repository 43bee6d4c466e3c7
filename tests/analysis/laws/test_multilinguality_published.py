import numpy as np
import pytest

from analysis.laws.multilinguality_published import published_brackets, published_contrast, published_gains


def test_gains_are_the_printed_percentages():
    gains = published_gains().set_index(["size", "tokens", "mixture"])["gain"]
    assert 2 ** gains["small", 1e6, "similar"] == pytest.approx(1.33)
    assert 2 ** gains["small", 1e9, ""] == pytest.approx(0.37)
    assert 2 ** gains["tiny", 1e9, ""] == pytest.approx(0.12)


def test_sizes_follow_from_the_printed_shapes():
    """12 d^2 + 13 d a layer: 2 layers of 128 features, 4 of 512."""
    sizes = dict(published_gains()[["size", "params"]].drop_duplicates().to_numpy().tolist())
    assert sizes == {"tiny": 2 * (12 * 128**2 + 13 * 128), "small": 4 * (12 * 512**2 + 13 * 512)}


def test_the_sign_changes_between_a_million_and_a_billion():
    brackets = published_brackets()
    assert brackets[["helps", "hurts"]].to_numpy().tolist() == [[1e6, 1e9]] * 2
    (row,) = published_contrast().to_dict("records")
    assert (row["tokens"], row["value"]) == (1e6, pytest.approx(np.log2(1.33 / 1.22)))
