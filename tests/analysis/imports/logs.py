"""Logs of runs whose truth is known, in the formats of their tools."""

import csv
import json
from pathlib import Path

import numpy as np

from analysis.laws.forms import BESIROGLU_2024, CHINCHILLA

TOKENS = 65_536
"""Of a step."""
STEPS = np.unique(np.concatenate([[0], np.geomspace(1, 2000, 35).astype(int)]))
STATE = Path(__file__).with_name("trainer_state.json")
"""Written by transformers 5.23.0: a Llama of one block on random tokens, half of the vocabulary old, half new."""
OLD, NEW = ("loss_nats_per_token", "old"), ("loss_nats_per_token", "new")


def dipping(drop: float, seed: int = 0) -> list[float]:
    """Losses at STEPS that rise by a known depth and come back."""
    t = STEPS / STEPS[-1]
    noise = 0.002 * np.random.default_rng(seed).standard_normal(len(t))
    return (3 + drop * (np.exp(-t / 0.2) - np.exp(-t / 0.04)) - 0.05 * t + noise).tolist()


def write_state(path: Path, losses: list[float]) -> None:
    """A Trainer's state, evaluated at STEPS and its rate logged after each step."""
    content = json.loads(STATE.read_text())
    steps = STEPS.tolist()
    content["log_history"] = [{"step": s, "epoch": 0, "learning_rate": 1e-4, "loss": 3.0} for s in steps if s]
    content["log_history"] += [{"step": s, "eval_old_loss": loss} for s, loss in zip(steps, losses, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_chart(path: Path, runs: dict[str, tuple[float, int]]) -> None:
    """A chart's export of runs: parameters and steps by name, losses by the law of Besiroglu et al."""
    steps = sorted({steps for _, steps in runs.values()})
    columns = [f"{run} - eval/loss{end}" for run in runs for end in ("", "__MIN", "__MAX")]
    with path.open("w", newline="") as file:
        rows = csv.writer(file, quoting=csv.QUOTE_ALL)
        rows.writerow(["train/global_step", *columns])
        for step in steps:
            cells = []
            for params, last in runs.values():
                cells += 3 * [str(loss_of(params, step)) if step <= last else ""]
            rows.writerow([step, *cells])


def loss_of(params: float, steps: int) -> float:
    """nats/token after steps."""
    return float(CHINCHILLA.predict(BESIROGLU_2024, params, steps * TOKENS).item())
