r"""Loss after continual pre-training by model size, tokens and the share of the evaluated text: the D-CPT law.

.. math:: L(N, D, r) = E + \frac{A}{N^\alpha} + \frac{B\, r^\eta}{D^\beta} + \frac{C}{(r + \epsilon)^\gamma}

N parameters, D tokens of continual pre-training, r the share of the text on which L is measured (the new text's for the
domain's loss, one less that for the general one).

Source: Que et al. (2024), D-CPT Law, arXiv:2406.01375, Eq. 6 (form, ranges and quality of fit through a transcription; no
table of fitted constants was to be had, so none is shipped). The fit is that of :mod:`analysis.laws.scaling`.

Valid for the end of a run: the law has no start and no bump, so it cannot show a gap. Known failures: nine constants, of which
a usual grid knows few; E and C with a small gamma are one constant; on r in [0, 1] a law must fall with r, which a fit does
not promise, see :func:`falls_with_share`.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from analysis.laws.general import GeneralModel
from analysis.laws.parametric import Law
from analysis.laws.scaling_fit import ScalingFit

Vector = NDArray[np.float64]
SYMBOLS = ("E", "A", "B", "C", "alpha", "beta", "eta", "gamma", "eps")


def _terms(theta: Vector, inputs: Vector) -> tuple[Vector, Vector, Vector, Vector]:
    """Summands of L over ``(ln E, ln A, ln B, ln C, alpha, beta, eta, gamma, ln eps)``."""
    n, d, _ = np.log(inputs)
    e, a, b, c, alpha, beta, eta, gamma, eps = (theta[..., i, None] for i in range(9))
    with np.errstate(over="ignore", under="ignore"):
        return (
            np.exp(e) + 0 * n,
            np.exp(a - alpha * n),
            np.exp(b + eta * np.log(inputs[2]) - beta * d),
            np.exp(c - gamma * np.log(inputs[2] + np.exp(eps))),
        )


def _log_loss(theta: Vector, inputs: Vector) -> Vector:
    return np.asarray(np.log(sum(_terms(theta, inputs))))


def _jacobian(theta: Vector, inputs: Vector) -> Vector:
    n, d, r = np.log(inputs)
    floor, size, tokens, share = _terms(theta, inputs)
    eps = np.exp(theta[..., 8, None])
    gamma = theta[..., 7, None]
    slopes = (
        floor,
        size,
        tokens,
        share,
        -size * n,
        -tokens * d,
        tokens * r,
        -share * np.log(inputs[2] + eps),
        -share * gamma * eps / (inputs[2] + eps),
    )
    return np.stack(slopes, axis=-1) / (floor + size + tokens + share)[..., None]


def _starts(inputs: Vector, log_loss: Vector) -> Vector:
    """At each set of exponents the four sizes are a linear, non-negative fit."""
    N, D, r = inputs
    loss, found = np.exp(log_loss), []
    n, d = np.log(N).mean(), np.log(D).mean()
    shapes = product((0.2, 0.5), (0.2, 0.5), (0.05, 0.5), (0.05, 0.3, 1.0), (0.01, 0.1, 0.5))
    for alpha, beta, eta, gamma, eps in shapes:
        powers = [np.ones_like(N), (N / np.exp(n)) ** -alpha, r**eta * (D / np.exp(d)) ** -beta, (r + eps) ** -gamma]
        size, _ = nnls(np.column_stack(powers) / loss[:, None], np.ones(len(N)))
        E, A, B, C = np.log(np.maximum(size, 1e-4 * size.max()))
        theta = np.array([E, A + alpha * n, B + beta * d, C, alpha, beta, eta, gamma, np.log(eps)])
        found.append((float(np.sum((_log_loss(theta, inputs) - log_loss) ** 2)), theta))
    return np.array([theta for _, theta in sorted(found, key=lambda pair: pair[0])[:8]])


DCPT = Law(
    name="d_cpt",
    formula="L = E + A/N^alpha + B r^eta/D^beta + C/(r + eps)^gamma",
    symbols=SYMBOLS,
    units=("nats/token",) * 4 + ("1",) * 5,
    positive=(True,) * 4 + (False,) * 4 + (True,),
    inputs=("params", "tokens", "share"),
    floor="E",
    source="Que et al. 2024, arXiv:2406.01375, Eq. 6",
    valid="Qwen1.5 of 0.5B to 4B parameters, six domains, 20k steps, shares from 0 to 1; the end of a run",
    model=GeneralModel(_log_loss, _jacobian, _starts, floor=0),
)
"""The law for ``fit_scaling_law(table, law=DCPT, inputs={"share": ...})`` and for evaluation."""


def falls_with_share(fit: ScalingFit, params: float, tokens: float) -> bool:
    """Whether a fitted law falls with the share all over [0, 1]; one that does not is no law of a mixture."""
    shares = np.linspace(1e-3, 1.0, 500)
    loss = DCPT.predict(np.asarray(fit.estimate), params, tokens, shares)
    return bool((np.diff(loss) < 0).all())
