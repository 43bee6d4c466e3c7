"""One run made ready: what every backend needs to train it, and what it leaves behind."""

from dataclasses import dataclass

from trainer.callbacks import Checkpointer
from trainer.model import Decoder
from trainer.probes import Probes
from trainer.spec import RunSpec
from trainer.stream import Windows


@dataclass(slots=True)
class Training:
    """A run that a backend can train: the model and the probes hold the outcome afterwards."""

    spec: RunSpec
    model: Decoder
    windows: Windows
    """The split to train on."""
    probes: Probes
    teacher: Decoder | None = None
    """Needed when the objective is ``distill``."""
    checkpointer: Checkpointer | None = None
    """Where to resume from and to write checkpoints to."""
    resumed_at_step: int | None = None
    """Set by the backend."""
