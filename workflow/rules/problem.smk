# A controlled truth of the law of capacity gap: its table, which the law reads by columns of its own.
rule problem:
    output:
        runs=report(
            "results/tables/{problem}/runs.csv",
            category="{problem}",
            labels={"what": "runs"},
            caption="../report/runs.rst",
        ),
        parquet="results/tables/{problem}/runs.parquet",
        provenance="results/tables/{problem}/provenance.csv",
    log:
        "results/logs/problem/{problem}.log",
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, threads, attempt: 1000 * threads * growth(attempt),
        runtime=growing(60),
    params:
        config=CONFIG,
        spec=lambda wildcards: short_hash(PLAN.problem(wildcards.problem)),
        out="results/tables/{problem}",
        code=code_hash("sweeps.problem", "trainer.mapping"),
    shell:
        "curselab problem {wildcards.problem} --config {params.config:q} --out {params.out:q} --workers {threads}"
        " 2>&1 | tee {log:q} >&2"
