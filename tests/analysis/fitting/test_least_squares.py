import numpy as np
import pytest
from scipy.special import huber

from analysis.fitting.least_squares import multistart


def _nist(folder, name):
    """Two starts, certified values and data of a NIST StRD nonlinear problem; the data come last, y before x."""
    lines = (folder / "data/nist" / f"{name}.dat").read_text().splitlines()
    parameters = [line.split("=")[1].split() for line in lines if line.strip().startswith("b") and "=" in line]
    table = np.array([float(number) for row in parameters for number in row]).reshape(-1, 4)
    first = next(i for i, line in enumerate(lines) if line.startswith("Data:") and "x" in line.split())
    data = np.array([[float(number) for number in line.split()] for line in lines[first + 1 :] if line.strip()])
    return table[:, :2].T, table[:, 2], data[:, 0], data[:, 1]


def _misra1a(b, x):
    return b[0] * (1 - np.exp(-b[1] * x))


def _mgh09(b, x):
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3])


def _thurber(b, x):
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


@pytest.mark.parametrize(("name", "model"), [("Misra1a", _misra1a), ("MGH09", _mgh09), ("Thurber", _thurber)])
def test_nist_certified_values(shared, name, model):
    starts, certified, y, x = _nist(shared, name)

    def residual(b):
        return model(b, x) - y

    def jacobian(b):
        step = 1e-30
        return np.stack([model(b + 1j * step * unit, x).imag / step for unit in np.eye(len(b))], axis=1)

    best = multistart(residual, jacobian, list(starts))
    np.testing.assert_allclose(best.theta, certified, rtol=1e-7)
    assert best.convergence.converged
    assert best.convergence.starts == 2


def test_the_objective_is_huber_s():
    y = np.array([0.0, 0.1, 0.2, 5.0])
    best = multistart(lambda b: b[0] - y, lambda b: np.ones((4, 1)), [[1.0], [9.0]], delta=0.5)
    # the far point pulls with 0.5: the mean of the others moves by 0.5 / 3
    np.testing.assert_allclose(best.theta, [0.1 + 0.5 / 3], rtol=1e-8)
    assert best.objective == pytest.approx(float(huber(0.5, best.theta[0] - y).sum()), rel=1e-12)
    assert best.convergence.starts_at_optimum == 2


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_unit_of_the_residual_does_not_matter(scale):
    x = np.linspace(0, 2, 30)
    y = 2 * np.exp(-1.3 * x) + 0.05 * np.sin(40 * x)

    def residual(b):
        return scale * (b[0] * np.exp(-b[1] * x) - y)

    def jacobian(b):
        return scale * np.stack([np.exp(-b[1] * x), -b[0] * x * np.exp(-b[1] * x)], axis=1)

    best = multistart(residual, jacobian, [[1.0, 1.0]], delta=0.01 * scale)
    reference = multistart(lambda b: residual(b) / scale, lambda b: jacobian(b) / scale, [[1.0, 1.0]], delta=0.01)
    np.testing.assert_allclose(best.theta, reference.theta, rtol=1e-9)


def test_a_stop_short_of_the_optimum_is_not_called_converged(monkeypatch, shared):
    monkeypatch.setattr("analysis.fitting.least_squares._MAX_EVALUATIONS", 3)
    starts, _, y, x = _nist(shared, "MGH09")

    def jacobian(b):
        return np.stack([_mgh09(b + 1e-30j * unit, x).imag / 1e-30 for unit in np.eye(4)], axis=1)

    assert not multistart(lambda b: _mgh09(b, x) - y, jacobian, [starts[0]]).convergence.converged
