import pytest

from trainer.backends.lightning import _environment
from trainer.spec import ComputeSpec


@pytest.mark.parametrize(
    ("variables", "starts"),
    [
        ({}, "LightningEnvironment"),
        ({"SLURM_NTASKS": "1", "SLURM_JOB_ID": "7"}, "LightningEnvironment"),  # a job of Snakemake: one task, any devices
        ({"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}, "SLURMEnvironment"),
        ({"SLURM_NTASKS": "1", "TORCHELASTIC_RUN_ID": "7"}, "TorchElasticEnvironment"),
    ],
)
def test_srun_or_torchrun_starts_the_processes_of_a_run_where_one_has(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], starts: str
) -> None:
    for name in ("SLURM_NTASKS", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert type(_environment(ComputeSpec())).__name__ == starts
