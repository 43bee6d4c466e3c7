# Runs of one shard, one process. Complete runs live outside Snakemake's outputs, so a killed shard loses none of them.
rule train:
    input:
        shard_inputs,
    output:
        "results/shards/{law}/{shard}.json",
    params:
        config=CONFIG,
        digest=lambda wildcards: PLAN.digest(wildcards.law, wildcards.shard),
        code=code_hash("trainer.shard"),
        workers=workflow.cores or 1,
    log:
        "results/logs/train/{law}/{shard}.log",
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    shell:
        "curselab train {wildcards.law} {wildcards.shard} --config {params.config:q} --digest {params.digest}"
        " --workers {params.workers} --log {log:q}"
