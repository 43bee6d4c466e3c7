"""Published sets of constants of Wang et al. (2025), by name; their rows stand in results/published/stability_gap.csv.

The minus signs of the domain's B are lost in the paper's text layer; they follow from its figures, where that loss falls.
"""

from collections.abc import Mapping

from analysis.laws.published import Coefficient
from analysis.laws.stability_gap_wang import ContinualLaw, ContinualSizes, Target, published

_KP, _LAW = "FineWeb to Knowledge-Pile", "FineWeb to Pile-of-Law"


def _both(
    label: str, name: str, places: tuple[str, str], general: tuple[float, ...], domain: tuple[float, ...]
) -> dict[str, ContinualLaw]:
    targets: tuple[Target, Target] = ("general", "domain")
    rows = zip(targets, places, (general, domain), strict=True)
    return {f"{label}_{t}": published(values, name=name, target=t, place=place) for t, place, values in rows}


WANG_2025: Mapping[str, ContinualLaw] = {
    **_both(
        "kp_106m",
        f"106M, {_KP}",
        ("Fig 3b/e", "Fig 3c/f"),
        (3.057, 0.490, 0.497, 0.366, 28.0, 0.189, 0.299, 0.298),
        (3.024, 0.412, 0.677, -0.666, 5662.0, 0.146, 0.278, 0.324),
    ),
    **_both(
        "law_106m",
        f"106M, {_LAW}",
        ("Fig 11b/e", "Fig 11c/f"),
        (3.064, 0.482, 0.511, 1.353, 37.0, 0.262, 0.294, 0.264),
        (2.978, 0.485, 0.701, -1.409, 383.0, 0.368, 0.274, 0.298),
    ),
    **_both(
        "kp_594m",
        f"594M, {_KP}",
        ("Fig 16b", "Fig 16c"),
        (2.688, 0.526, 0.483, 29.121, 100.0, 0.001, 0.437, 0.395),
        (2.657, 0.443, 0.566, -0.518, 100.0, 0.424, 0.360, 0.358),
    ),
    **_both(
        "kp_1720m",
        f"1720M, {_KP}",
        ("Fig 16e", "Fig 16f"),
        (2.496, 0.569, 0.474, 8.710, 100.0, 0.004, 0.485, 0.438),
        (2.557, 0.407, 0.682, -0.527, 100.0, 0.390, 0.440, 0.412),
    ),
    **_both(
        "kp_106m_replay33",
        f"106M, {_KP}, 33 % replayed",
        ("Fig 12", "Fig 12"),
        (3.067, 0.481, 0.515, 0.077, 6.0, 0.608, 0.298, 0.284),
        (3.020, 0.441, 0.696, -0.632, 5046.0, 0.145, 0.273, 0.275),
    ),
    **_both(
        "kp_106m_replay50",
        f"106M, {_KP}, 50 % replayed",
        ("Fig 12", "Fig 12"),
        (3.068, 0.480, 0.518, 0.046, 3.0, 0.915, 0.294, 0.269),
        (3.017, 0.442, 0.686, -0.599, 6484.0, 0.144, 0.277, 0.277),
    ),
    **_both(
        "kp_106m_replay67",
        f"106M, {_KP}, 67 % replayed",
        ("Fig 12", "Fig 12"),
        (3.069, 0.479, 0.519, 0.105, 11.0, 0.069, 0.295, 0.280),
        (3.017, 0.442, 0.685, -0.532, 5693.0, 0.166, 0.274, 0.276),
    ),
}
"""Eq. 4, as ``texts_size[_replay]_target``; lambda is 0.999 in all."""


def _sizes(target: Target, *values: float) -> ContinualSizes:
    symbols = ("L0", "A", "alpha", "B", "E", "beta", "C1", "gamma1", "C2", "gamma2", "F", "gamma3")
    nats, one, rate = "nats/token", "1", "1/learning rate"
    units = (nats, nats, one, nats, rate, one, nats, one, nats, one, nats, one)
    constants = tuple(Coefficient(*row) for row in zip(symbols, values, units, strict=True))
    return ContinualSizes(target=target, coefficients=constants)


WANG_2025_SIZES: Mapping[str, ContinualSizes] = {
    "general": _sizes("general", 1.829, 0.504, 0.537, 0.278, 12.0, 0.359, 0.090, 0.235, 0.103, 0.199, 3.072, 0.195),
    "domain": _sizes("domain", 1.860, 0.438, 0.585, -0.552, 187.0, 0.326, 0.333, 0.012, 0.140, 0.145, 2.718, 0.189),
}
"""Eq. 7, 106M to 1720M parameters."""
