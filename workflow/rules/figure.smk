# A law's figure, drawn from its fit and its table.
rule figure:
    input:
        beside_runs,
        fit="results/fits/{law}.json",
        runs="results/tables/{law}/runs.parquet",
    output:
        pdf="results/figures/{law}.pdf",
        png=report(
            "results/figures/{law}.png",
            category="{law}",
            labels={"what": "figure"},
            caption="../report/law.rst",
        ),
    log:
        "results/logs/figure/{law}.log",
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        caption=law_caption,
        stem="results/figures/{law}",
        code=lambda wildcards: code_hash(
            "figures.draw", f"figures.{find(wildcards.law).room}"
        ),
    shell:
        "curselab figure {wildcards.law} --fit {input.fit:q} --runs {input.runs:q} --stem {params.stem:q} 2>&1 | tee {log:q} >&2"
