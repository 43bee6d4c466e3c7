# Runs of one shard, one process. Complete runs live outside Snakemake's outputs, so a killed shard loses none of them.
rule train:
    input:
        shard_inputs,
    output:
        "results/shards/{law}/{shard}.json",
    log:
        "results/logs/train/{law}/{shard}.log",
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
        # a resource and not a param: another number of cores makes nothing stale
        workers=workflow.cores or 1,
    params:
        config=CONFIG,
        digest=lambda wildcards: PLAN.digest(wildcards.law, wildcards.shard),
        code=code_hash("trainer.shard"),
    shell:
        "curselab train {wildcards.law} {wildcards.shard} --config {params.config:q} --digest {params.digest}"
        " --workers {resources.workers} --log {log:q}"
