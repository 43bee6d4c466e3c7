# Text of a grid, read, split and tokenised once into memory-mapped files. Its meta.json holds their sha256, so that the same text
# made again trains nothing again.
rule text:
    output:
        "results/text/{text_id}/meta.json",
    log:
        "results/logs/text/{text_id}.log",
    conda:
        "../envs/curselab.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        config=CONFIG,
        source=lambda wildcards: TEXT_FINGERPRINTS[wildcards.text_id],
        code=code_hash("trainer.text.prepare"),
        folder=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "rm -rf {params.folder:q} && curselab text {wildcards.text_id} --config {params.config:q} --out {params.folder:q}"
        " 2>&1 | tee {log:q} >&2"
