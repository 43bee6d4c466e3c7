"""Sweeps of depth in which no scheme differs from another and no block from another, every claim at its bound."""

from itertools import chain

import numpy as np

from analysis import fit_depth
from analysis.decisions.depth_simulation import Design, Truth, simulate
from analysis.laws.depth import DepthFit
from benchmarks.known_truths.study import ONE_SIDED, SIDE, Answers, Question, Study, held_by, holds

DEPTHS = (4, 8, 16, 24)
NAMES = ("pre", "lns", "peri", "pre + scaled init")
GAIN = 0.01  # nats/token a doubling, the least that is no vanishing return
ALIKE = Truth(loss=lambda depth: float(2.0 - GAIN * np.log2(depth / 4)), variance=lambda x: 1 + 0.5 * x)
CURSE = {
    "branch": ("branches shrink with depth", ""),
    "jacobian": ("Jacobians less the identity shrink with depth", ""),
    "share": ("median share below 1/3", "conservative: must lie below 1/3 too, not only its interval below 1/2"),
    "rho": ("Spearman's rho below -0.5", "conservative: must lie below -0.5 too, not only its interval below 0"),
    "useful": ("the share of useful blocks falls with L", ""),
    "shrinkage": ("the gain of a doubling shrinks", ""),
    "last": (f"the last doubling gains less than {GAIN:g} nats/token", ""),
}
LIFT = {
    "use": "deep blocks are used more",
    "fall": "the loss is lower at L = 24",
    "slope": "the fall of the loss grows with L",
}


def _fit(rng: np.random.Generator, *, useful: float, variances: bool) -> DepthFit:
    """Fit a sweep at one rate; blocks cost ``useful`` nats/token. Variances, whose growth is slow to fit, may be left out."""
    design = Design(depths=DEPTHS, rates=(1.0,), noise=0.015, delta_scatter=0.3)
    runs, layers = simulate(dict.fromkeys(NAMES, ALIKE), design, rng)
    layers.loc[layers["metric"] == "loss_removed_delta_nats_per_token", "value"] *= useful / 0.3
    return fit_depth(runs, layers if variances else layers[layers["metric"] != "residual_variance"])


def at_bounds(rng: np.random.Generator) -> Answers:
    """Every claim but those on variances."""
    fit = _fit(rng, useful=0.03, variances=False)
    parts = chain.from_iterable(criterion.parts for criterion in fit.curse.criteria)
    yield from ((name, part.answer == "yes", 1) for name, part in zip(CURSE, parts, strict=True))
    yield "curse", fit.curse.call == "curse shown", 1
    lifts = [(v.criteria[1].parts[0], *v.criteria[2].parts[-2:]) for v in fit.lifts]
    for name, claims in zip(LIFT, zip(*lifts, strict=True), strict=True):
        yield name, any(claim.answer == "yes" for claim in claims), 1
    last, effective = DEPTHS[-1], fit.arm("pre", DEPTHS[-1]).effective
    assert effective is not None
    yield "gain", held_by(fit.schemes[0].gain, -GAIN / np.log(2)), 1
    yield "difference", held_by(next(f.estimate for f in fit.falls if (f.scheme, f.depth) == ("lns", last)), 0.0), 1
    yield "share_held", held_by(effective.median_share, 0.5), 1
    yield "rho_held", held_by(effective.spearman, 0.0), 1


def with_variances(rng: np.random.Generator) -> Answers:
    """What variances and their growth say."""
    fit = _fit(rng, useful=0.3, variances=True)
    yield "lifted", any(v.call == "lifted" for v in fit.lifts), 1
    yield "variance", fit.lifts[0].criteria[0].parts[0].answer == "yes", 1
    arm, x = fit.arm("pre", DEPTHS[-1]), np.arange(1.0, DEPTHS[-1])
    yield "variance_held", held_by(arm.v_last, 1 + 0.5 * DEPTHS[-1]), 1
    exact, at = np.log(1 + 0.5 * x), np.log(x) - np.log(x).mean()
    yield "exponent", arm.growth is not None and held_by(arm.growth.exponent, float(at @ exact / (at @ at))), 1


_DESIGN = "4 schemes at L = 4 to 24, 3 seeds; all alike, every claim at its bound"
STUDIES = {
    "depth_at_bounds": Study(
        "depth",
        _DESIGN,
        at_bounds,
        {name: Question(f"curse, one part: {text}", ONE_SIDED, note or SIDE) for name, (text, note) in CURSE.items()}
        | {"curse": Question("curse shown", ONE_SIDED, "conservative: all seven parts must hold")}
        | {name: Question(f"lift, one part: {text} (any of 3 schemes, Holm)", ONE_SIDED, SIDE) for name, text in LIFT.items()}
        | {
            "gain": holds("fall of the loss a unit of ln L"),
            "difference": holds("difference of two schemes' losses at L = 24"),
            "share_held": holds("median share at L = 24"),
            "rho_held": holds("Spearman's rho at L = 24"),
        },
    ),
    "depth_with_variances": Study(
        "depth",
        f"{_DESIGN}; with variances",
        with_variances,
        {
            "lifted": Question("lifted (any of 3 schemes)", ONE_SIDED, "conservative: all parts must hold"),
            "variance": Question("lift, one part: the last variance is lower (one scheme)", ONE_SIDED, SIDE),
            "variance_held": holds("last variance at L = 24"),
            "exponent": holds("slope of ln v on ln l at L = 24"),
        },
        most=200,
    ),
}
