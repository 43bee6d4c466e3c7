"""Result tables with a known truth, in the columns of the contract."""

from typing import Any

import numpy as np
import pandas as pd

from curselab.contract import table

PLAIN: dict[str, Any] = {
    "sweep": "scaling",
    "stage": "run",
    "status": "ok",
    "seed": 0,
    "text_source": "installed",
    "text_sha256": "0" * 64,
    "tokenizer": "bytes",
    "vocab_size": 256,
    "split": "train",
    "width": 32,
    "depth": 2,
    "heads": 2,
    "context": 64,
    "scheme": "pre",
    "initialisation": "scaled",
    "params_total": 20_000,
    "params_non_embedding": 12_000,
    "steps": 100,
    "tokens": 100_000,
    "unique_tokens": 1_000_000,
    "train_flop": 1e10,
    "learning_rate": 1e-3,
    "objective": "lm",
    "domain": "all",
    "loss_nats_per_token": 2.5,
    "loss_se_nats_per_token": 0.01,
    "loss_bits_per_byte": 3.6,
    "eval_tokens": 10_000,
    "eval_bytes": 10_000,
}


def record(number: int = 0, **values: Any) -> dict[str, Any]:
    """One row of ``runs``: every column, null where nothing is said."""
    row = dict.fromkeys(table("runs").names) | PLAIN | {"run_id": f"{number:012x}"} | values
    if row["status"] == "diverged":
        row |= {"diverged_step": 50, "loss_nats_per_token": None, "loss_se_nats_per_token": None, "loss_bits_per_byte": None}
    return row


def frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table, with pandas' own choice of dtypes."""
    return pd.DataFrame(records)


def scaling_runs(
    truth: tuple[float, ...] = (1.7, 60.0, 120.0, 0.35, 0.3), *, noise: float = 0.0, seeds: int = 1, seed: int = 0
) -> pd.DataFrame:
    """Runs over a 5 by 5 grid from L = E + A/N^alpha + B/D^beta, with relative noise."""
    rng = np.random.default_rng(seed)
    E, A, B, alpha, beta = truth
    records = []
    for n in (10_000, 30_000, 100_000, 300_000, 1_000_000):
        for d in (200_000, 600_000, 2_000_000, 6_000_000, 20_000_000):
            for replicate in range(seeds):
                loss = (E + A * n**-alpha + B * d**-beta) * np.exp(noise * rng.standard_normal())
                records.append(record(len(records), params_total=n, tokens=d, seed=replicate, loss_nats_per_token=float(loss)))
    return frame(records)


def dsl_loss(student: np.ndarray, student_tokens: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """Loss of a distilled student, nats/token, by Busbridge et al. 2025 (arXiv:2502.08606), Eq. 8 and table 6.

    Teachers are trained on 20 tokens a parameter.
    """

    def plain(n: np.ndarray, d: np.ndarray) -> np.ndarray:
        return 1.220 + (3355 * n**-0.408 + 18186 * d**-0.431) ** 0.452

    c0, c1, f1, d1 = 2.549, 522.6, 0.090, 1.315
    signal, own = plain(teacher, 20 * teacher), plain(student, student_tokens)
    bracket = (1 + (signal / (own * d1)) ** (1 / f1)) ** (-c1 * f1)
    return signal + signal**-c0 * bracket * (2243 * student**-0.321 + 24181 * student_tokens**-0.637) ** 0.764


def dsl_teacher_loss(teacher: np.ndarray) -> np.ndarray:
    """Loss of a teacher on 20 tokens a parameter by the same paper, nats/token."""
    return np.asarray(1.220 + (3355 * teacher**-0.408 + 18186 * (20 * teacher) ** -0.431) ** 0.452)


def capacity_gap_runs(
    students: tuple[int, ...] = (546_000_000,),
    *,
    ratios: np.ndarray | None = None,
    tokens_per_param: int = 320,
    noise: float = 0.002,
    seeds: int = 4,
    seed: int = 0,
    loss: Any = dsl_loss,
) -> pd.DataFrame:
    """Distilled students on a grid of teachers, seeds shared by the teachers, with a seed effect as large as the noise."""
    rng = np.random.default_rng(seed)
    ratios = 2.0 ** np.arange(0, 6.1, 0.5) if ratios is None else ratios
    records = []
    for size in students:
        d = size * tokens_per_param
        effects = noise * rng.standard_normal(seeds)
        shared = {"sweep": "capacity_gap", "params_non_embedding": size, "params_total": size + 8192, "tokens": d}
        for s in range(seeds):
            for ratio in ratios:
                t = round(size * float(ratio))
                value = float(loss(float(size), float(d), float(t)) + effects[s] + noise * rng.standard_normal())
                records.append(
                    record(
                        len(records),
                        **shared,
                        stage="student",
                        objective="distill",
                        distill_weight=1.0,
                        temperature=1.0,
                        teacher_id="a" * 12,
                        teacher_params_non_embedding=t,
                        teacher_tokens=20 * t,
                        teacher_seed=0,
                        teacher_loss_nats_per_token=float(dsl_teacher_loss(np.float64(t))),
                        seed=s,
                        loss_nats_per_token=value,
                    )
                )
            records.append(record(len(records), **shared, stage="plain", seed=s, loss_nats_per_token=2.32 + effects[s]))
    return frame(records)


def learning_rate_runs(
    sizes: tuple[int, ...] = (6_000,),
    *,
    factors: tuple[float, ...] = (1 / 3, 1, 3),
    best: float = 0.8,
    bend: float = 0.1,
    noise: tuple[float, ...] = (0.01, 0.01, 0.01),
    seeds: int = 4,
    seed: int = 0,
) -> pd.DataFrame:
    """Runs around a rule's rate from L = 2.5 + bend ln(rate / best)^2, the same seeds at every rate.

    ``best`` is a multiple of the rule's rate; each rate has its own ``noise``, beside a seed's effect that all rates share.
    """
    rng = np.random.default_rng(seed)
    records = []
    for size in sizes:
        chosen = float(f"{2 / size**0.5:.4g}")
        for s, effect in enumerate(0.1 * rng.standard_normal(seeds)):
            for factor, sigma in zip(factors, noise, strict=True):
                loss = 2.5 + bend * np.log(factor / best) ** 2 + effect + sigma * rng.standard_normal()
                records.append(
                    record(
                        len(records),
                        sweep="learning_rate",
                        stage="chosen" if factor == 1 else "bracket",
                        params_non_embedding=size,
                        params_total=size + 8192,
                        learning_rate=chosen * factor,
                        seed=s,
                        loss_nats_per_token=float(loss),
                    )
                )
    return frame(records)
