# Published numbers beside ours, for who asks: snakemake results/tables/depth_published.md
rule published:
    input:
        fit="results/fits/{law}.json",
        runs="results/tables/{law}/runs.parquet",
    output:
        "results/tables/{law}_published.{ending}",
    log:
        "results/logs/published/{law}.{ending}.log",
    wildcard_constraints:
        ending="tex|md|csv|html",
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_hash("analysis.beside_published"),
    shell:
        "curselab compare {input.fit:q} --published --runs {input.runs:q} --out {output:q} 2>&1 | tee {log:q} >&2"
