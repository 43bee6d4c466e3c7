# All there is about a law on one page of the report: figure, caption, table, record of the fit, configuration, provenance.
rule record:
    input:
        "results/fits/{law}.json",
        "results/figures/{law}.png",
        "results/tables/{law}/provenance.csv",
    output:
        report(
            "results/records/{law}.html",
            category="{law}",
            labels={"what": "all on one page"},
            caption="../report/law.rst",
        ),
    log:
        "results/logs/record/{law}.log",
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        config=CONFIG,
        said=lambda wildcards: short_hash(configuration(Path(CONFIG), wildcards.law)),
        caption=law_caption,
        code=code_hash("analysis.record"),
        template=short_hash(
            Path(workflow.basedir, "analysis/record.html.jinja").read_text()
        ),
    shell:
        "curselab record {wildcards.law} --config {params.config:q} --caption {params.caption:q} --out {output:q}"
        " 2>&1 | tee {log:q} >&2"
