"""Models of one shape in batched products, each with its own text, optimiser, schedule, clipping, probes and checkpoints.

Members may begin at different steps, from checkpoints or snapshots, and end at different ones: a member that ends, or whose
loss is no longer finite, leaves the pack. On a CPU a member's bits do not depend on its company (docs/log.md).
"""

from collections.abc import Sequence

import torch

from trainer.backends.lockstep import Stepper, stop_if_asked
from trainer.packed_model import packed_losses
from trainer.stream import make_stream
from trainer.training import Training


def fit(trainings: Sequence[Training]) -> None:
    """Train runs of one shape to their ends.

    Parameters
    ----------
    trainings : sequence of Training
        Their specs agree in the model, without dropout, the batch and its parts, and in hardware; they learn from text alone.
    """
    spec = trainings[0].spec
    torch.set_num_threads(spec.compute.threads)
    device = torch.device("cuda" if spec.compute.accelerator == "gpu" else "cpu")
    members = [Member(training, device) for training in trainings]
    while active := [member for member in members if not member.done]:
        for part in range(spec.training.accumulate):
            tokens = torch.stack([member.batch(part) for member in active]).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=spec.compute.precision == "bf16-mixed"):
                losses = packed_losses([member.model for member in active], tokens, one_by_one=device.type == "cpu")
            (losses.sum() / spec.training.accumulate).backward()  # type: ignore[no-untyped-call]
            for member, loss in zip(active, losses.detach(), strict=True):
                member.losses.append(loss)
        for member in active:
            member.finish_step()
        stop_if_asked(members)


class Member(Stepper):
    """One run of a pack, which reads its own batches."""

    def __init__(self, training: Training, device: torch.device) -> None:
        super().__init__(training, device)
        self._stream = make_stream(training.spec, training.windows)

    def batch(self, part: int) -> torch.Tensor:
        """Token ids (batch, context + 1) of a part of the member's next step."""
        return self._stream.batch(self.step * self.training.spec.training.accumulate + part)
