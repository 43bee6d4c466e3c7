import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import t as student_t

from analysis.laws.capacity_gap_optimum import OCTAVE, local_cubic
from analysis.laws.capacity_gap_student import Cells, draft


def test_the_interval_of_a_best_teacher_is_student_s_t_where_noise_is_small():
    """Two seeds and five teachers leave four degrees of freedom; the error follows from the slope of the minimum."""
    x = OCTAVE * np.arange(-2.0, 3.0)
    curve = 2.0 + 0.1 * (x - 0.1) ** 2 + 0.01 * x**3
    noise = 1e-4 * np.array([1.0, -1.0, 0.5, -1.0, 0.5])
    cells = Cells(
        student=1.0,
        teachers=np.exp(x),
        losses=np.stack([curve + noise, curve - noise]),
        teacher_loss=3.0 - 0.1 * x,
        n_runs=10,
        n_diverged=0,
        plain_loss=None,
    )
    found = draft(cells, resamples=40_000, rng=np.random.default_rng(0), level=0.95, compare=False)
    width = found.found.half_width

    def minimum(means):
        return float(local_cubic(x, means[None], half_width=width).position[0])

    sigma = np.sqrt(2 * np.sum((noise - noise.mean()) ** 2) / 4)
    se = sigma / np.sqrt(2) * np.linalg.norm(approx_fprime(curve, minimum, 1e-7))
    half = student_t.ppf(0.975, 4) * se
    assert found.paired.dof == 4
    assert found.paired.sigma == pytest.approx(sigma)
    assert (found.found.lower, found.found.upper) == pytest.approx(
        (minimum(curve) - half, minimum(curve) + half), abs=0.04 * half
    )
