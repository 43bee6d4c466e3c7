"""Weights on disk: safetensors for finished models, Lightning checkpoints only to go on after an interruption."""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from curselab.errors import InputError
from curselab.files import read_json, write_with
from curselab.integrity import sha256_of
from trainer.flops import count_parameters
from trainer.model import Decoder
from trainer.model_spec import ModelSpec
from trainer.signals import HeldSignals
from trainer.spec import RunSpec
from trainer.strict import from_mapping

MOMENTS = "optimizer.safetensors"
SEAL = 64  # hex digits of a sha256

log = logging.getLogger(__name__)


def save_weights(model: Decoder, path: Path) -> None:
    """Write the final weights as safetensors."""
    _write(path, lambda temporary: safetensors.torch.save_model(model, str(temporary)))


class Checkpoints:
    """Where and when the whole training state of one run is written; the last one but one is kept as well.

    Parameters
    ----------
    path : Path
    every_s : float
        Least number of seconds between two checkpoints.
    fingerprint : dict
        What the state depends on beside the spec; a checkpoint of other code or other text is not resumed.
    signals : HeldSignals, optional
        A checkpoint is due at once when the process was asked to stop.
    clock : callable
        Seconds, for the interval.
    """

    def __init__(
        self,
        path: Path,
        *,
        every_s: float,
        fingerprint: dict[str, str],
        signals: HeldSignals | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.before = path.with_suffix(f".before{path.suffix}")
        self.every_s = every_s
        self.fingerprint = fingerprint
        self.signals = signals or HeldSignals()
        self._clock = clock
        self._last = clock()

    def due(self) -> bool:
        """Tell whether the interval has passed, or the process was asked to stop."""
        return self.signals.asked or self._clock() - self._last >= self.every_s

    def save(self, write: Callable[[Path], object]) -> None:
        """Let ``write`` leave the state at the path it is given; the state before it stays until the next time."""
        if self.path.exists():
            self.path.replace(self.before)
        save_state(write, self.path)
        self._last = self._clock()

    def remove(self) -> None:
        """Remove what was written: the run is complete."""
        self.path.unlink(missing_ok=True)
        self.before.unlink(missing_ok=True)


def save_state(write: Callable[[Path], object], path: Path) -> None:
    """Let ``write`` leave a training state at ``path``, whole or not at all; it is sealed."""

    def sealed(temporary: Path) -> None:
        write(temporary)
        seal(temporary)

    _write(path, sealed)


def seal(path: Path) -> None:
    """Give a zip archive, such as torch writes, the sha256 of its bytes as its comment.

    Its own checksums do not cover its directory, where one wrong bit has torch read whatever is in memory for a tensor.
    """
    with path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(SEAL.to_bytes(2, "little"))  # how long the comment is
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(digest.encode())


def is_sealed(path: Path) -> bool:
    """Tell whether a file ends with the sha256 of the bytes before."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as whole, memoryview(whole) as content:
        return content[-SEAL:] == hashlib.sha256(content[:-SEAL]).hexdigest().encode()


def load_trained(folder: Path) -> tuple[RunSpec, Decoder]:
    """Rebuild a finished model from its run folder.

    Parameters
    ----------
    folder : Path
        Run folder with ``spec.json`` and ``weights.safetensors``.

    Raises
    ------
    InputError
        No finished run there, or damaged weights.
    """
    spec_file, weights = folder / "spec.json", folder / "weights.safetensors"
    if not (folder / "summary.json").exists() or not weights.exists():
        raise InputError(f"{folder}: no trained weights there; train that run first (its spec needs keep_weights: true)")
    if sha256_of(weights) != _recorded(folder, "weights_sha256"):
        raise InputError(f"{weights}: damaged weights; delete {folder} and train it again")
    spec = RunSpec.from_mapping(read_json(spec_file), where=str(spec_file))
    shape = from_mapping(ModelSpec, _recorded(folder, "model"), where=str(folder / "provenance.json"))
    vocab_size = spec.text.tokenizer.vocab_size
    # no model is built that these weights cannot fill, of two bytes a parameter at least
    filled = 2 * count_parameters(shape, vocab_size).total <= weights.stat().st_size
    if spec.run_id != folder.name or shape.context != spec.model.context or not filled:
        raise InputError(f"{spec_file}: not what {weights} was trained by; delete {folder} and train it again")
    model = Decoder(shape, vocab_size, seed=spec.seed)
    with refusing(weights):
        safetensors.torch.load_model(model, str(weights))
    return spec, model


def save_moments(moments: dict[int, Any], path: Path) -> None:
    """Write the state of an optimiser, parameter by parameter, as safetensors."""
    flat = {f"{number}.{name}": value for number, state in moments.items() for name, value in state.items()}
    _write(path, lambda temporary: safetensors.torch.save_file(flat, temporary))


def load_moments(folder: Path) -> dict[int, Any]:
    """State of a finished run's optimiser, from its run folder.

    Raises
    ------
    InputError
        The run has not kept it, or the file is damaged.
    """
    path = folder / MOMENTS
    if not path.exists():
        raise InputError(f"{folder}: holds no state of the optimiser; train that run with keep_optimizer: true")
    if sha256_of(path) != _recorded(folder, "optimizer_sha256"):
        raise InputError(f"{path}: damaged; delete {folder} and train it again")
    moments: dict[int, Any] = {}
    for key, value in safetensors.torch.load_file(path).items():
        number, name = key.split(".")
        moments.setdefault(int(number), {})[name] = value
    return moments


def _recorded(folder: Path, name: str) -> Any:
    """Return a fact of a run's provenance."""
    path = folder / "provenance.json"
    content = read_json(path)
    if not isinstance(content, dict) or name not in content:
        raise InputError(f"{path}: {name} is missing; delete {folder} and train it again")
    return content[name]


def resumable(path: Path, fingerprint: dict[str, str]) -> dict[str, Any] | None:
    """Return a training state that a run can go on from, or None.

    A damaged state, and one of another run, of other code or on other text, is removed.

    Parameters
    ----------
    path : Path
    fingerprint : dict
        What the state must have been marked with.
    """
    if not path.exists():
        return None
    try:
        if not is_sealed(path):
            raise ValueError("wrong checksum")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch makes of a file that is none of its own
        log.warning(
            "%s: damaged checkpoint (%s); the run goes on from an earlier one or its beginning", path, _first_line(error)
        )
        path.unlink(missing_ok=True)  # several devices may find it so
        return None
    if not isinstance(checkpoint, dict) or checkpoint.get("fingerprint") != fingerprint:
        log.warning("%s: a checkpoint of another run, of other code or on other text; the run starts anew", path)
        path.unlink(missing_ok=True)
        return None
    return checkpoint


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Say in one line that what is loaded does not fit, though it is marked as if it did: it was made up, or moved here."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        raise InputError(f"{path}: does not fit this run ({_first_line(error)}); delete it and start again") from None


def _write(path: Path, write: Callable[[Path], object]) -> None:
    try:
        write_with(path, write)
    except (RuntimeError, SafetensorError) as error:  # what torch and safetensors make of a full disk
        raise InputError(f"{path}: could not be written ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
