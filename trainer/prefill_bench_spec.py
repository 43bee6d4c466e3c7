"""PrefillBenchSpec: which models prefill which batches; constants stand in ``sweeps/prepacking.yaml``. Imports no torch."""

from dataclasses import dataclass

from trainer.model_spec import ModelSpec
from trainer.prompt_lengths import DISTRIBUTIONS, SHORTEST
from trainer.strict import require


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillBenchSpec:
    """Models, batches and repeats of the bench of prepacking."""

    width: tuple[int, ...]
    """Of the models, which are Llamas with random weights."""
    depth: int
    distribution: tuple[str, ...]
    """Of the lengths, names of ``trainer.prompt_lengths``."""
    batch: tuple[int, ...]
    """Prompts."""
    draw: tuple[int, ...]
    """Seeds of the lengths."""
    longest: int
    """Tokens that a prompt is cut to."""
    repeats: int
    """Timed runs of each method; times are their medians."""
    threads: int

    def __post_init__(self) -> None:
        for name, least in {"width": 64, "batch": 1, "draw": 0}.items():
            given = getattr(self, name)
            good = len(given) > 0 and len(set(given)) == len(given) and min(given) >= least
            require(good, name, list(given), f"one or more different whole numbers of {least} or more")
        require(all(width % 64 == 0 for width in self.width), "width", list(self.width), "multiples of 64, a head each")
        known = len(self.distribution) > 0 and set(self.distribution) <= set(DISTRIBUTIONS)
        require(known, "distribution", list(self.distribution), f"some of {', '.join(DISTRIBUTIONS)}")
        for name, least in {"depth": 1, "longest": SHORTEST, "repeats": 1, "threads": 1}.items():
            require(getattr(self, name) >= least, name, getattr(self, name), f"{least} or more")

    @property
    def shapes(self) -> dict[str, ModelSpec]:
        """Models by name: heads of 64 features, gated networks of 8/3 of the width in steps of 16."""
        return {
            f"w{width}": ModelSpec(
                width=width, depth=self.depth, heads=width // 64, ffn_width=16 * round(width / 6), context=self.longest
            )
            for width in self.width
        }
