rule audit:
    input:
        annotations=of_split("annotations"),
        samples=of_split("samples"),
        corrected=corrected_labels,
    output:
        suspects="<results>/audit/{dataset}/{split}.parquet",
        images="<results>/audit/{dataset}/{split}.images.parquet",
    log:
        "<logs>/audit/{dataset}.{split}.log",
    benchmark:
        "<benchmarks>/audit/{dataset}.{split}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=f"{flags(experiment.variance)} {flags(experiment.audit)}",
        corrected=lambda wildcards, input: [f"--corrected {path}" for path in input.corrected],
        code=code_digest("audit"),
    message:
        "Looking for label errors on {wildcards.dataset}/{wildcards.split}"
    shell:
        "dipr1 audit {input.samples}"
        " --annotations {input.annotations}"
        " {params.corrected}"
        " {params.options}"
        " --output {output.suspects}"
        " --images-output {output.images}"
        " > {log} 2>&1"
