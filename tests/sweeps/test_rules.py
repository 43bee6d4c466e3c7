import pytest

from curselab.errors import InputError
from sweeps.rules import read_rule, scaled
from trainer.model_spec import ModelSpec


def model(width: int = 64, depth: int = 2) -> ModelSpec:
    return ModelSpec(width=width, depth=depth, heads=1, ffn_width=176)


@pytest.mark.parametrize(
    ("rule", "wider", "deeper"),
    [
        ({"kind": "inverse_width_depth", "base": 0.5}, 1 / 2, 1 / 2),
        ({"kind": "inverse_width", "base": 0.1}, 1 / 2, 1),
    ],
)
def test_twice_the_width_or_depth(rule: dict, wider: float, deeper: float) -> None:
    rate = read_rule(rule, where="x").rate
    assert rate(model(width=128), 1000) == wider * rate(model(), 1000)
    assert rate(model(depth=4), 1000) == deeper * rate(model(), 1000)
    assert rate(model(), 8000) == rate(model(), 1000)


def test_longer_training_has_a_lower_rate() -> None:
    """Eight times the tokens at an exponent of -1/3 halve the rate; the horizon is where the base counts."""
    rule = read_rule({"kind": "inverse_width_depth", "base": 0.5, "horizon": 1000, "exponent": -1 / 3}, where="x")
    assert rule.rate(model(), 1000) == 0.5 / (64 * 2)
    assert rule.rate(model(), 8000) == pytest.approx(0.25 / (64 * 2), rel=1e-12)


def test_the_rule_of_the_ladder_of_olmo_at_one_billion() -> None:
    """0.0047 (N / 108M)^(-1/3) is 0.0047 at 108M and a tenth of it at a thousand times the size."""
    rule = read_rule({"kind": "power_of_parameters"}, where="x")
    shape = ModelSpec(width=768, depth=12, heads=12, ffn_width=2048)
    params = (4 * 768**2 + 3 * 768 * 2048) * 12 + 768 * 25  # attention, SwiGLU, gains
    assert rule.rate(shape, 1) == pytest.approx(0.0047 * (params / 108e6) ** (-1 / 3), rel=1e-12)
    scale = {"kind": "power_of_parameters", "reference": params / 1000}
    assert read_rule(scale, where="x").rate(shape, 1) == pytest.approx(0.00047, rel=1e-12)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"kind": "mup", "base": 1}, "grid.learning_rate.kind: the string 'mup' was given (allowed: inverse_width_depth, inv"),
        ({"base": 1}, "grid.learning_rate.kind: nothing, None was given"),
        ({"kind": "inverse_width"}, "grid.learning_rate.base: missing"),
        ({"kind": "inverse_width", "base": -1}, "grid.learning_rate.base: -1.0 was given, a number above 0"),
        ({"kind": "inverse_width", "base": "1"}, "grid.learning_rate.base: the string '1' was given"),
        ({"kind": "inverse_width", "bass": 1}, "grid.learning_rate.bass: unknown key; did you mean 'base'?"),
        ({"kind": "power_of_parameters", "reference": 0}, "grid.learning_rate.reference: 0.0 was given"),
        ({"kind": "inverse_width_depth", "base": 1, "horizon": 0}, "grid.learning_rate.horizon: 0 was given, a number of tok"),
    ],
)
def test_a_bad_rule_is_one_line_that_names_it(rule: dict, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_rule(rule, where="grid")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rates_have_four_digits() -> None:
    assert scaled(0.5 / 48, 1, where="x") == 0.01042
    assert scaled(0.5 / 48, 0.5, where="x") == 0.005208
