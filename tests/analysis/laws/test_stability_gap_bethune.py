import pytest

from analysis.laws.stability_gap_bethune import InjectionForgetting


def test_injection_is_worth_parameters():
    law = InjectionForgetting(A=2.0, B=100.0, alpha=0.4, beta=0.3)
    assert not law.verified
    assert float(law.forgetting(1e8, 1e7, 0.0)) == pytest.approx(2 * 1e7**0.3 / 1e8**0.4)
    assert float(law.forgetting(1e8, 1e7, 0.01)) == pytest.approx(float(law.forgetting(2e8, 1e7, 0.0)))
    assert float(law.worth_in_params(0.01)) == pytest.approx(2.0)
