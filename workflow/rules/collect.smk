# Run folders of one sweep, gathered into tables that keep the contract.
rule collect:
    input:
        lambda wildcards: expand(
            "results/shards/{law}/{shard}.json",
            law=wildcards.law,
            shard=PLAN.shards(wildcards.law),
        ),
    output:
        runs=report(
            "results/tables/{law}/runs.csv",
            category="{law}",
            labels={"what": "runs"},
            caption="../report/runs.rst",
        ),
        parquet="results/tables/{law}/runs.parquet",
        metrics="results/tables/{law}/metrics.parquet",
        layers="results/tables/{law}/layers.parquet",
        provenance="results/tables/{law}/provenance.csv",
    log:
        "results/logs/collect/{law}.log",
    wildcard_constraints:
        law="|".join(PLAN.sweeps),
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        runs="results/runs/{law}",
        out="results/tables/{law}",
        code=code_hash("analysis.collect"),
    shell:
        "curselab collect {input:q} --runs {params.runs:q} --out {params.out:q} 2>&1 | tee {log:q} >&2"
