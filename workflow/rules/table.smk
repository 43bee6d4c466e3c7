# A law's table, written from its fit: LaTeX for all, the others for who asks (snakemake results/tables/depth.md).
rule table:
    input:
        "results/fits/{law}.json",
    output:
        report(
            "results/tables/{law}.{ending}",
            category="{law}",
            labels={"what": "table ({ending})"},
            caption="../report/law.rst",
        ),
    log:
        "results/logs/table/{law}.{ending}.log",
    wildcard_constraints:
        ending="tex|md|csv|html",
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        caption=law_caption,
        code=lambda wildcards: code_hash("analysis.tables"),
    shell:
        "curselab table {input:q} --out {output:q} 2>&1 | tee {log:q} >&2"
