# A law fitted to its table. Its code hash covers its own module, so editing one law leaves the others alone.
rule fit:
    input:
        beside_runs,
        runs="results/tables/{law}/runs.parquet",
    output:
        "results/fits/{law}.json",
    log:
        "results/logs/fit/{law}.log",
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        code=lambda wildcards: code_hash("analysis.fit", find(wildcards.law).module),
    shell:
        "curselab fit {input.runs:q} --law {wildcards.law} --out {output:q} 2>&1 | tee {log:q} >&2"
