import math
from pathlib import Path

import pytest

from curselab.errors import InputError
from sweeps.plan import Plan, load_plan
from sweeps.resources import Cluster, Resources, shard_resources
from tests.sweeps.tiny import tiny

CPU = """
  scaling:
    run: {size: [6k, 14k], training.tokens: [4096, 8192], seed: [0, 1]}
"""
GPU = """
  scaling:
    run:
      size: [85m]
      training.tokens: [33_554_432]
      training.batch_sequences: [64]
      compute.accelerator: [gpu]
      compute.devices: [4]
      seed: [0]
"""
SLOW = Cluster(cpu_flop_per_s=1e6, gpu_flop_per_s=1e12)


@pytest.fixture
def plan(tmp_path: Path, request: pytest.FixtureRequest) -> Plan:
    (tmp_path / "grid.yaml").write_text(tiny(request.param))
    return load_plan(tmp_path / "grid.yaml")


def asked(plan: Plan, **given: object) -> Resources:
    return shard_resources(plan, "scaling", "run-0", **{"cluster": SLOW, **given})


@pytest.mark.parametrize("plan", [CPU], indirect=True)
def test_the_time_of_a_shard_follows_from_its_flop_and_the_speed(plan: Plan) -> None:
    flop = [plan.flop(run) for run in plan.runs]
    assert asked(plan).minutes == math.ceil(10 + 2 * sum(flop) / 1e6 / 60)
    assert asked(plan, workers=4).minutes == math.ceil(10 + 2 * (sum(flop) / 4 + max(flop)) / 1e6 / 60)
    assert asked(plan, workers=8) == asked(plan, workers=1024)  # there are eight runs
    assert asked(plan).gpus == 0


@pytest.mark.parametrize("plan", [CPU], indirect=True)
def test_further_attempts_ask_for_more_but_for_no_more_than_a_job_may(plan: Plan) -> None:
    first, third = asked(plan), asked(plan, attempt=3)
    assert 3 * (first.minutes - 1) < third.minutes <= 3 * first.minutes
    assert 3 * (first.mem_mb - 1) < third.mem_mb <= 3 * first.mem_mb
    assert asked(plan, attempt=30) == asked(plan, attempt=4)  # a chain of jobs of one long run
    assert asked(plan, cluster=Cluster(cpu_flop_per_s=1.0, most_minutes=60)).minutes == 60


@pytest.mark.parametrize("plan", [CPU], indirect=True)
def test_memory_grows_with_the_workers(plan: Plan) -> None:
    one, two, three = (asked(plan, workers=workers).mem_mb for workers in (1, 2, 3))
    assert three - two == pytest.approx(two - one, abs=1)
    assert one > 2 * 800  # the shard's process and one worker, twice what torch itself takes


@pytest.mark.parametrize("plan", [GPU], indirect=True)
def test_a_run_on_several_gpus_has_them_in_its_job_and_is_as_much_faster(plan: Plan) -> None:
    (run,) = plan.runs
    (shard,) = plan.shards("scaling")
    found = shard_resources(plan, "scaling", shard, SLOW, workers=8)
    assert found.gpus == 4
    assert found.minutes == math.ceil(10 + 2 * plan.flop(run) / 1e12 / 4 / 60)
    assert found.mem_mb * 1e6 > 2 * 12 * 85e6  # the state that one process gathers


def test_speeds_are_read_from_what_snakemake_was_given() -> None:
    assert Cluster.from_config({"grid": "smoke", "gpu_flop_per_s": "3e14"}) == Cluster(gpu_flop_per_s=3e14)
    with pytest.raises(InputError, match="cpu_flop_per_s=fast: a number is needed"):
        Cluster.from_config({"cpu_flop_per_s": "fast"})
    with pytest.raises(InputError, match="most_minutes: 0.0 was given, a number above 0 is needed"):
        Cluster.from_config({"most_minutes": 0})
