# A law's LaTeX table, written from its fit.
rule table:
    input:
        "results/fits/{law}.json",
    output:
        report(
            "results/tables/{law}.tex",
            category="{law}",
            labels={"what": "table (LaTeX)"},
            caption="../report/law.rst",
        ),
    log:
        "results/logs/table/{law}.log",
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
