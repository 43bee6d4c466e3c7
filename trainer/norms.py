r"""Norm schemes, side by side: how a sub-layer F of block n of L, attention or feed-forward, is joined to the stream x.

.. math:: x \leftarrow N_{sum}\bigl(a\,x + b\,N_{out}(F(c\,N_{in}(x)))\bigr)

A scheme says which of the three norms are there and what a, b and c are; n counts blocks from 1, not sub-layers, so both of a
block share it. The norm after the last block stays in every scheme. Importing this module imports no torch.

Sources: Pre-LN and Post-LN, Xiong et al. (2002.04745); Mix-LN, Li et al. (2412.13795); DeepNorm, Wang et al. (2203.00555,
table 1, decoder only); LayerNorm Scaling, Sun et al. (2502.05795, equation 12), and branch output / sqrt(n) (their table 8);
Sandwich-LN, Ding et al. (2105.13290); Peri-LN, Kim et al. (2502.02732); SkipInit, De & Smith (2002.10444), from 1 / sqrt(L) as
Sun et al. compare it; ReZero, Bachlechner et al. (2003.04887), without a norm; LayerScale, Touvron et al. (2103.17239); ProRes
(2603.05369).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from trainer.model_spec import ModelSpec, Scheme

MIX_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How both sub-layers of one block are joined to the stream."""

    norm_in: bool = True
    norm_out: bool = False
    norm_sum: bool = False
    stream: float = 1.0
    """a."""
    output: float = 1.0
    """b, where it is fixed."""
    input: float = 1.0
    """c, after the norm's learned gain."""
    gain: float = 1.0
    """Initial gain of N_in, or of N_sum."""
    learned: Literal["", "scalar", "features"] = ""
    """b is learned: one number a sub-layer, or one a feature."""
    start: float = 1.0
    """Initial value of a learned b."""
    ramp: float = 0.0
    """b is min(t / (ramp T), 1) after t optimiser steps, with T = ``prores_steps``; 0 is no ramp."""

    @property
    def packs(self) -> bool:
        """Tell whether members of a pack can share it: b is a number that stays."""
        return not self.learned and not self.ramp


def _layerscale_start(depth: int) -> float:
    """Touvron et al. (2103.17239, section 2.2)."""
    return 0.1 if depth <= 18 else 1e-5 if depth <= 24 else 1e-6


RULES: Mapping[Scheme, Callable[[int, int], Rule]] = {
    "pre": lambda n, L: Rule(),
    "post": lambda n, L: Rule(norm_in=False, norm_sum=True),
    "mix": lambda n, L: Rule(norm_in=False, norm_sum=True) if n <= MIX_SHARE * L else Rule(),
    "deepnorm": lambda n, L: Rule(norm_in=False, norm_sum=True, stream=(2 * L) ** 0.25),
    "lns": lambda n, L: Rule(input=n**-0.5),
    "lns_gamma_init": lambda n, L: Rule(gain=n**-0.5),
    "branch_sqrt": lambda n, L: Rule(output=n**-0.5),
    "peri": lambda n, L: Rule(norm_out=True),
    "sandwich": lambda n, L: Rule(norm_out=True),
    "skipinit": lambda n, L: Rule(learned="scalar", start=L**-0.5),
    "rezero": lambda n, L: Rule(norm_in=False, learned="scalar", start=0.0),
    "layerscale": lambda n, L: Rule(learned="features", start=_layerscale_start(L)),
    "prores": lambda n, L: Rule(ramp=n),
}
"""Scheme -> (block n from 1, depth L) -> rule."""


def rules(model: ModelSpec) -> tuple[Rule, ...]:
    """Rule of each block, (depth,)."""
    return tuple(RULES[model.scheme](number, model.depth) for number in range(1, model.depth + 1))


def norms_embedding(model: ModelSpec) -> bool:
    """Tell whether the embedding is normed: what sets Peri-LN apart from Sandwich-LN."""
    return model.scheme == "peri"


def branch_scale(model: ModelSpec, number: int) -> float:
    """Factor of the initial standard deviation of what block ``number``, from 1, writes to the residual stream.

    ``scaled``: Radford et al. (2019), Shoeybi et al. (1909.08053); ``depth_scaled``: Zhang et al. (1908.11365).
    """
    writes = {"plain": 1.0, "scaled": 1 / (2 * model.depth) ** 0.5, "depth_scaled": 1 / (2 * number) ** 0.5}
    return writes[model.initialisation]


def deepnorm_beta(model: ModelSpec) -> float:
    """Xavier gain of feed-forward, value and output matrices under DeepNorm; it is 1 for query and key."""
    return float((8 * model.depth) ** -0.25)
