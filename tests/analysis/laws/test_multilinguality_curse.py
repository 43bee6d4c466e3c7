import numpy as np
import pytest

from analysis.laws.multilinguality_curse import HelpThenHurt, gain_log2
from curselab.errors import InputError

LAW = HelpThenHurt(E=1.2, A=70.0, B=60.0, alpha=0.35, beta=0.3, cost=0.05, gain=0.4, scale=5e4)


def test_the_loss_is_the_formula_as_printed():
    """kappa = cost / alpha; N = 1e5, D = 2e5 seen four times, M = 1e6."""
    kappa, q = 0.05 / 0.35, 8e5 / 1.8e6
    transfer = 0.4 * 2e5 * (1 - np.exp(-1e6 / 5e4))
    expected = 1.2 + 70 * (1e5 * q**kappa) ** -0.35 + 60 * (2e5 + transfer) ** -0.3
    assert LAW.loss(1e5, 2e5, 1e6, seen=8e5) == pytest.approx(expected, rel=1e-12)
    assert LAW.loss(1e5, 2e5, 0.0) == pytest.approx(1.2 + 70 * 1e5**-0.35 + 60 * 2e5**-0.3)


def test_the_gain_places_the_mixture_on_the_monolingual_curve():
    D = np.array([2e4, 2e5, 2e6])
    worth = D * 2 ** LAW.gain_log2(4.5e5, D, 10 * D)
    np.testing.assert_allclose(LAW.loss(4.5e5, worth, 0.0), LAW.loss(4.5e5, D, 10 * D), rtol=1e-12)


def test_with_linear_transfer_the_margin_s_crossover_has_a_closed_form():
    """D_c = (tau beta B / (kappa alpha A))^(1/beta) N^(alpha/beta), from a small addition."""
    law = HelpThenHurt(E=1.2, A=70.0, B=60.0, alpha=0.35, beta=0.3, cost=0.02, tau=0.05)
    for N in (1e5, 1e6):
        closed = (0.05 * 0.3 * 60 / (0.02 * 70)) ** (1 / 0.3) * N ** (0.35 / 0.3)
        assert law.crossover(N, 1e-6) == pytest.approx(closed, rel=1e-3)


def test_low_data_are_helped_high_data_hurt_and_larger_models_less():
    """The pattern of arXiv:2311.09205; D_c grows as N^(alpha/beta)."""
    D = 776e3
    assert LAW.gain_log2(4.5e5, D / 10, D) > 0 > LAW.gain_log2(4.5e5, 10 * D, 100 * D)
    assert LAW.gain_log2(4.5e6, 10 * D, 100 * D) > LAW.gain_log2(4.5e5, 10 * D, 100 * D)
    first, second = LAW.crossover(4.5e5, 10.0), LAW.crossover(4.5e6, 10.0)
    assert np.log10(second / first) == pytest.approx(0.35 / 0.3, rel=1e-3)


def test_no_capacity_no_crossover():
    free = HelpThenHurt(E=1.2, A=70.0, B=60.0, alpha=0.35, beta=0.3, gain=0.4, scale=5e4)
    assert free.crossover(1e5, 10.0) is None
    assert gain_log2(np.zeros(1), np.log(np.full(1, 0.1)), log_ratio=np.zeros(1), cost=0.0, beta=0.3) == 0
    with pytest.raises(InputError, match="positive numbers"):
        free.crossover(1e5, 0.0)
    assert "this project" in free.source


def test_chang_s_two_ends_need_a_steep_data_term():
    """Small models: +22 % at 1M tokens seen 20 times and 1B added, -63 % at 1B seen twice and 1B added, one G for both.

    With u = (1 + G)^-beta and R the ratio of the two terms at 1M tokens, 1.22^-beta = u + R (51^c - 1) and
    0.37^-beta = u + R 1000^beta (1.5^c - 1); for small c, R is positive only above beta = ln(ln 51 / ln 1.5) / ln 1000.
    """
    least = np.log(np.log(51) / np.log(1.5)) / np.log(1000)
    assert least == pytest.approx(0.329, abs=5e-4)
    cost = np.geomspace(1e-4, 1, 200)
    for beta in (0.1, 0.2, 0.3, 0.32):
        assert (1000**beta * (1.5**cost - 1) < 51**cost - 1).all()
    assert 1000**0.34 * (1.5**1e-4 - 1) > 51**1e-4 - 1
