rule gain:
    input:
        variance=of_split("variance"),
        crops=crops_of_split("prompts"),
        crops_variance=crops_of_split("variance"),
    output:
        variance=places.pattern("gain"),
    log:
        "logs/shared/gain/{dataset}.{split}-{digest}.log",
    benchmark:
        "benchmarks/shared/gain/{dataset}.{split}-{digest}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code_digest("gain"),
    message:
        "Comparing crops with whole images on {wildcards.dataset}/{wildcards.split}"
    shell:
        "dipr1 gain {input.variance}"
        " --crops {input.crops}"
        " --crops-variance {input.crops_variance}"
        " --output {output.variance}"
        " > {log} 2>&1"
