import numpy as np
import pytest

from analysis.fitting.minimum import local_minima, window

OCTAVE = float(np.log(2))
GRID = np.log(2.0 ** np.arange(0, 6.1, 0.5))


def test_a_parabola_is_found_exactly():
    curve = 2 + 0.3 * (GRID - 1.9) ** 2
    found = local_minima(GRID, curve[None], half_width=OCTAVE)
    np.testing.assert_allclose(found.position, [1.9], rtol=1e-12)
    assert found.interior.all()


@pytest.mark.parametrize("curve", [GRID, -GRID, -np.abs(GRID - 2)], ids=["rises", "falls", "peak"])
def test_no_minimum_inside_is_no_interior_minimum(curve):
    found = local_minima(GRID, curve[None], half_width=OCTAVE)
    assert not found.interior[0]
    # the parabola's vertex may lie anywhere; what is reported lies in the window around the lowest point
    assert abs(found.position[0] - GRID[curve.argmin()]) <= max(OCTAVE, GRID[4] - GRID[0]) + 1e-12


def test_the_window_is_an_octave_or_five_points():
    fine, coarse = np.log(2.0 ** np.arange(0, 4, 0.25)), np.log(2.0 ** np.arange(8))
    assert window(fine, 8, half_width=OCTAVE).tolist() == list(range(4, 13))
    assert window(coarse, 3, half_width=OCTAVE).tolist() == [1, 2, 3, 4, 5]
    assert window(coarse[:4], 3, half_width=OCTAVE).tolist() == [0, 1, 2, 3]


def test_many_curves_are_as_one_by_one():
    curves = np.random.default_rng(0).standard_normal((50, len(GRID)))
    together = local_minima(GRID, curves, half_width=OCTAVE)
    alone = [local_minima(GRID, curve[None], half_width=OCTAVE) for curve in curves]
    np.testing.assert_allclose(together.position, [a.position[0] for a in alone], rtol=1e-10)
    assert together.interior.tolist() == [bool(a.interior[0]) for a in alone]
