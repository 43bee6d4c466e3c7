# What is timed on this machine: all its cores are taken, so that no other job runs meanwhile.
rule bench:
    output:
        runs=report(
            "results/tables/{bench}/runs.csv",
            category="{bench}",
            labels={"what": "times"},
            caption="../report/runs.rst",
        ),
        parquet="results/tables/{bench}/runs.parquet",
        provenance="results/tables/{bench}/provenance.csv",
    log:
        "results/logs/bench/{bench}.log",
    conda:
        "../envs/curselab.yaml"
    threads: 1024  # as many as there are
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        config=CONFIG,
        spec=lambda wildcards: short_hash(PLAN.bench(wildcards.bench)),
        out="results/tables/{bench}",
        code=code_hash("trainer.prefill_bench"),
    shell:
        "curselab bench {wildcards.bench} --config {params.config:q} --out {params.out:q} 2>&1 | tee {log:q} >&2"
