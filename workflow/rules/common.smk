# What every stage needs: the plan of the chosen grid, and the code that a stage depends on.
import os
import sys
from functools import cache
from pathlib import Path

from analysis.laws.registry import find
from curselab.errors import InputError
from sweeps.plan import configuration, load_plan
from sweeps.resources import Cluster, growth, shard_resources
from trainer.provenance import code_hash
from trainer.strict import short_hash
from trainer.text import source_fingerprint

# jobs use the command that belongs to this interpreter, whether or not its environment is activated
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])
)

# the grid's own file is read, not Snakemake's copy of it, which reads 3e-4 as a string
CONFIG = workflow.configfiles[-1] if workflow.configfiles else "config/default.yaml"
try:
    PLAN = load_plan(Path(CONFIG))
    TEXT_FINGERPRINTS = {
        text_id: source_fingerprint(spec) for text_id, spec in PLAN.texts.items()
    }
    CLUSTER = Cluster.from_config(config)
except InputError as error:
    sys.exit(f"curselab: {error}")
if workflow.is_main_process:
    for line in PLAN.left_out.values():
        print(f"curselab: {line}", file=sys.stderr)

# laws on the tables of their sweeps, controlled truths and benches on their own
FITTED = [*PLAN.sweeps, *PLAN.problems, *PLAN.benches]


wildcard_constraints:
    law="|".join(FITTED),
    problem="|".join(PLAN.problems) or "none",
    bench="|".join(PLAN.benches) or "none",
    shard="[a-z_]+-[0-9]+",
    text_id="[0-9a-f]{12}",


def shard_inputs(wildcards):
    sweep, shard = wildcards.law, wildcards.shard
    texts = expand(
        "results/text/{text_id}/meta.json", text_id=PLAN.text_ids(sweep, shard)
    )
    needed = expand(
        "results/shards/{law}/{shard}.json",
        law=sweep,
        shard=PLAN.needs(sweep, shard),
    )
    return texts + needed


@cache
def train_resources(law, shard, workers, attempt):
    return shard_resources(PLAN, law, shard, CLUSTER, workers=workers, attempt=attempt)


def asked(name):
    """What the job of a shard asks a cluster for; None is not asked for at all."""
    return (
        lambda wildcards, threads, attempt: getattr(
            train_resources(wildcards.law, wildcards.shard, threads, attempt), name
        )
        or None
    )


def growing(amount):
    return lambda wildcards, attempt: amount * growth(attempt)


def beside_runs(wildcards):
    """The tables that a law reads beside its runs."""
    return expand(
        "results/tables/{law}/{table}.parquet",
        law=wildcards.law,
        table=find(wildcards.law).also,
    )


def law_caption(wildcards):
    return Path(
        workflow.basedir, "workflow", "report", f"{wildcards.law}.rst"
    ).read_text()
