# Runs of one shard, one process a thread. Complete runs live outside Snakemake's outputs, so a killed shard loses none of them.
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
        mem_mb=asked("mem_mb"),
        runtime=asked("minutes"),
        gpu=asked("gpus"),
    params:
        config=CONFIG,
        digest=lambda wildcards: PLAN.digest(wildcards.law, wildcards.shard),
        code=code_hash("trainer.shard"),
    shell:
        "curselab train {wildcards.law} {wildcards.shard} --config {params.config:q} --digest {params.digest}"
        " --workers {threads} --log {log:q}"
