"""From trainings that share their steps to the backend that carries them out."""

from collections.abc import Callable, Sequence

from trainer.sharing import backend_of
from trainer.training import Training


def fit(trainings: Sequence[Training]) -> None:
    """Train each run to its end, or until its loss is no longer finite; a run whose teacher or base diverged is left alone.

    Parameters
    ----------
    trainings : sequence of Training
        Runs of one group of :func:`trainer.sharing.pieces`: they have one backend.
    """
    ready = [training for training in trainings if training.missing is None]
    if ready:
        (name,) = {backend_of(training.spec) for training in ready}
        backend(name)(ready)


def backend(name: str) -> Callable[[Sequence[Training]], None]:
    """Load a backend; Lightning takes seconds to import, so only runs that need it pay for that."""
    if name == "lockstep":
        from trainer.backends import lockstep

        return lockstep.fit
    if name == "packed":
        from trainer.backends import packed

        return packed.fit
    from trainer.backends import lightning

    return lightning.fit
