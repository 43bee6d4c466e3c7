# the overview has no place for controlled truths
DRAWN = [law for law in FITTED if law not in PLAN.problems]
PAGES = [*FITTED, "overview"] if DRAWN else FITTED


# A law's figure, drawn from its fit and its table.
rule figure:
    input:
        beside_runs,
        fit="results/fits/{law}.json",
        runs="results/tables/{law}/runs.parquet",
    output:
        pdf="results/figures/{law}.pdf",
        svg="results/figures/{law}.svg",
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


# The headlines of all laws of the grid, on one page.
rule overview:
    input:
        expand("results/fits/{law}.json", law=DRAWN),
        expand("results/tables/{law}/runs.parquet", law=DRAWN),
        [
            f"results/tables/{law}/{table}.parquet"
            for law in DRAWN
            for table in find(law).also
        ],
    output:
        pdf="results/figures/overview.pdf",
        svg="results/figures/overview.svg",
        png=report(
            "results/figures/overview.png",
            category="all laws",
            labels={"what": "figure"},
            caption="../report/overview.rst",
        ),
    log:
        "results/logs/figure/overview.log",
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        laws=DRAWN,
        stem=lambda wildcards, output: os.path.splitext(output.pdf)[0],
        code=code_hash("figures.overview"),
    shell:
        "curselab overview {params.laws} --stem {params.stem:q} 2>&1 | tee {log:q} >&2"
