import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from analysis.fitting.paired import paired_means
from analysis.laws.capacity_gap_optimum import (
    OCTAVE,
    WINDOWS,
    choose_window,
    estimates,
    local_cubic,
    locate,
    two_exponentials,
)

GRID = OCTAVE * np.arange(0, 6.1, 0.5)


def _fall_and_rise(x):
    """Steep fall, slow rise: its minimum by a library is the truth of every test here."""
    return 2 + 0.3 * np.exp(-2.0 * x) + 0.02 * np.exp(0.4 * x)


TRUTH = minimize_scalar(_fall_and_rise, bounds=(0, 4), method="bounded").x


def _paired(noise, seeds=4, seed=0, curve=_fall_and_rise):
    rng = np.random.default_rng(seed)
    return paired_means(curve(GRID) + noise * rng.standard_normal((seeds, len(GRID))))


def _noisy(paired, seed=1):
    rng = np.random.default_rng(seed)
    return paired.means + paired.sigma / 2 * rng.standard_normal((400, len(GRID)))


@pytest.mark.parametrize("coefficients", [(2, -0.3, 0.2, 0.05), (2, 0.1, 0.3, -0.02), (2, -0.2, 0.4, 0.0)])
def test_a_cubic_s_minimum_is_exact(coefficients):
    """Of a cubic itself, against the root of its derivative."""
    x = np.linspace(-1, 1, 9)
    curve = np.polynomial.Polynomial(coefficients)
    roots = curve.deriv().roots()
    expected = roots[curve.deriv(2)(roots) > 0][0]
    found = local_cubic(x, curve(x)[None], half_width=1.0)
    assert found.position[0] == pytest.approx(expected, abs=1e-9)
    assert found.interior[0]


def test_curves_without_a_minimum_inside_keep_their_lowest_point():
    x = np.linspace(0, 1, 7)
    found = local_cubic(x, np.stack([x, -x, np.sin(40 * x)]), half_width=0.5)
    assert found.position[:2].tolist() == [0.0, 1.0]
    assert not found.interior[:2].any()
    assert ((found.position >= 0) & (found.position <= 1)).all()


def test_a_two_exponential_curve_gives_its_own_minimum():
    u = GRID[None]
    for A, B in ((2.0, 0.4), (0.5, 1.0)):
        curve = 1 + 0.3 * np.exp(-A * u) + 0.02 * np.exp(B * u)
        expected = np.log(0.3 * A / (0.02 * B)) / (A + B)
        found = two_exponentials(GRID, curve)
        assert found.position[0] == pytest.approx(expected, abs=0.05)
        assert found.interior[0]
    straight = two_exponentials(GRID, -GRID[None])
    assert not straight.interior[0]


def test_the_window_is_as_wide_as_the_noise_allows():
    """Loud runs hardly ever reject the widest cubic, quiet ones shrink it, the quietest reject every cubic."""
    noises = (0.03, 1e-3, 1e-4, 1e-7)
    widths = [[choose_window(GRID, _paired(noise, seed=i), alpha=0.05) for i in range(40)] for noise in noises]
    assert sum(width == WINDOWS[0] for width in widths[0]) >= 34  # 38 expected, and three standard errors
    means = [np.mean([width or 0.0 for width in row]) for row in widths]
    assert means == sorted(means, reverse=True)
    assert set(widths[3]) == {None}
    assert choose_window(GRID, _paired(0.01, seeds=1), alpha=0.05) is None
    few = paired_means(np.random.default_rng(0).standard_normal((4, 4)))
    assert choose_window(GRID[:4], few, alpha=0.05) is None


def test_a_true_cubic_is_rejected_as_often_as_the_level_says():
    held = [choose_window(GRID, _paired(0.01, seed=i, curve=lambda x: 2 + (x - 2) ** 2), alpha=0.05) for i in range(400)]
    assert np.mean([width == WINDOWS[0] for width in held]) == pytest.approx(0.95, abs=0.033)  # three standard errors


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 3e-3])
def test_the_truth_is_inside_the_interval(noise):
    held = []
    for i in range(40):
        paired = _paired(noise, seed=i)
        found = locate(GRID, paired, _noisy(paired, seed=i), level=0.95)
        held.append(found.lower <= TRUTH <= found.upper)
    assert sum(held) >= 33  # 38 expected of 40, and three standard errors


def test_where_no_cubic_fits_the_neighbours_are_the_bracket():
    paired = _paired(1e-7)
    found = locate(GRID, paired, _noisy(paired), level=0.95)
    lowest = int(paired.means.argmin())
    assert found.half_width is None
    assert (found.lower, found.position, found.upper) == tuple(GRID[lowest - 1 : lowest + 2])
    assert found.inside
    rising = paired_means(np.sort(np.random.default_rng(0).standard_normal((3, 4)), axis=1))
    at_edge = locate(GRID[:4], rising, rising.means + np.zeros((10, 4)), level=0.95)
    assert not at_edge.inside


def test_estimators_stand_side_by_side():
    paired = _paired(1e-3)
    noisy = _noisy(paired)
    found = locate(GRID, paired, noisy, level=0.95)
    rows = estimates(GRID, paired, noisy, 3 - 0.2 * GRID, found, level=0.95)
    assert [e.name for e in rows] == ["local_cubic", "local_quadratic", "grid_argmin", "two_exponential", "teacher_loss"]
    for e in rows:
        assert e.lower <= e.optimum <= e.upper
        # the two-exponential is this truth's own form, the parabola leans to the slow side
        assert np.log(e.optimum) == pytest.approx(TRUTH, abs=0.25)
    assert np.log(rows[3].optimum) == pytest.approx(TRUTH, abs=0.05)
    assert np.exp(found.position) == rows[0].optimum


def test_reasons_for_no_answer():
    paired = _paired(1e-3)
    noisy = _noisy(paired)
    found = locate(GRID, paired, noisy, level=0.95)
    unordered = estimates(GRID, paired, noisy, np.full(len(GRID), 2.0), found, level=0.95)
    assert "a larger teacher is not a better one" in unordered[4].reason
    silent = locate(GRID, paired, None, level=0.95)
    assert all(e.optimum is None for e in estimates(GRID, paired, None, 3 - 0.2 * GRID, silent, level=0.95))
    flat = paired_means(np.random.default_rng(0).standard_normal((3, 5)))
    noisy = flat.means + np.random.default_rng(1).standard_normal((200, 5))
    five = estimates(GRID[:5], flat, noisy, 3 - 0.2 * GRID[:5], locate(GRID[:5], flat, noisy, level=0.95), level=0.95)
    assert five[3].reason == "5 teachers, 6 are needed"
    assert "of resamples have an optimum inside the grid" in five[2].reason
