# From a grid of small trainings to fits, figures and tables: sweep -> text -> runs -> tables -> fits -> figures.
#   snakemake                                     the default grid
#   snakemake --configfile config/smoke.yaml      minutes
#   snakemake --report results/report.html        one offline HTML file
from snakemake.utils import min_version

min_version("9.8")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/text.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/collect.smk"
include: "workflow/rules/problem.smk"
include: "workflow/rules/bench.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/figure.smk"
include: "workflow/rules/table.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/record.smk"


# on a cluster too, these seconds are spent where Snakemake runs
localrules:
    all,
    collect,
    figure,
    overview,
    published,
    record,
    table,


rule all:
    default_target: True
    input:
        expand("results/figures/{law}.{ending}", law=PAGES, ending=["pdf", "png"]),
        expand("results/tables/{law}.tex", law=FITTED),
        expand("results/records/{law}.html", law=FITTED),
