"""Hostile input without end: ``PYTHONPATH=. python benchmarks/fuzz.py [--target NAME ...] [--minutes 10] [--help]``.

Targets and what counts as a find stand in ``tests/fuzz``. Prints a table in Markdown, and leaves the smallest input of each
find in a folder; one that ends the process lies there too, as ``TARGET-now``.
"""

import argparse
import time
import traceback
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.attempt import attempt
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[1]
A_ROUND = 200
"""Inputs between two seeds, so that hypothesis does not remember them all."""


class _Over(BaseException):
    """The time is up."""


def fuzz(name: str, *, minutes: float, first_seed: int, out: Path) -> tuple[int, dict[str, bytes]]:
    """How many inputs were tried, and the smallest of each find by where it was raised."""
    tried, finds, end = 0, dict[str, bytes](), time.monotonic() + 60 * minutes

    def one(content: bytes) -> None:
        nonlocal tried
        if time.monotonic() > end:
            raise _Over
        tried += 1
        (out / f"{name}-now").write_bytes(content)
        try:
            attempt(TARGETS[name], content)
        except (KeyboardInterrupt, _Over):
            raise
        except BaseException as error:
            place = _place(error)
            if place not in finds or len(content) < len(finds[place]):
                finds[place] = content
                number = list(finds).index(place)
                (out / f"{name}-{number}").write_bytes(content)
                (out / f"{name}-{number}.txt").write_text("".join(traceback.format_exception(error)))

    none = list(HealthCheck)
    options = settings(max_examples=A_ROUND, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=none)
    contents = TARGETS[name].contents()
    try:
        for number in count():
            seed(1_000_000 * first_seed + number)(options(given(contents)(one)))()
    except _Over:
        (out / f"{name}-now").unlink()
    return tried, finds


def _place(error: BaseException) -> str:
    """What was raised, and the last line of ours that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT) and ".venv" not in frame.filename]
    known = [frame for frame in ours if "fuzz" not in frame.filename] or ours
    return f"{type(error).__name__} {Path(known[-1].filename).name}:{known[-1].lineno}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Hostile input without end.")
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--minutes", type=float, default=10, help="of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-finds"), help="folder of the finds")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print("| target | seed | minutes | CPU minutes | inputs | distinct finds |\n|" + "---|" * 6, flush=True)
    for name in options.target:
        begun, cpu = time.monotonic(), time.process_time()
        tried, finds = fuzz(name, minutes=options.minutes, first_seed=options.seed, out=options.out)
        wall, spent = (time.monotonic() - begun) / 60, (time.process_time() - cpu) / 60
        places = f" ({', '.join(finds)})" if finds else ""
        print(f"| {name} | {options.seed} | {wall:.1f} | {spent:.1f} | {tried:,} | {len(finds)}{places} |", flush=True)


if __name__ == "__main__":
    main()
