rule variance:
    input:
        annotations=of_split("annotations"),
        samples=of_split("samples"),
    output:
        regions=places.pattern("variance"),
    log:
        "logs/shared/variance/{dataset}.{split}-{digest}.log",
    benchmark:
        "benchmarks/shared/variance/{dataset}.{split}-{digest}.jsonl"
    wildcard_constraints:
        split=SPLIT_OR_CROPS,
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=flags(experiment.variance),
        code=code_digest("variance"),
    message:
        "Measuring how much the base policy's boxes vary on {wildcards.dataset}/{wildcards.split}"
    shell:
        "dipr1 variance {input.samples}"
        " --annotations {input.annotations}"
        " {params.options}"
        " --output {output.regions}"
        " > {log} 2>&1"
