# Text of a grid, read, split and tokenised once into memory-mapped files.
rule text:
    output:
        directory("results/text/{text_id}"),
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
    shell:
        "curselab text {wildcards.text_id} --config {params.config:q} --out {output:q} 2>&1 | tee {log:q} >&2"
