rule crop:
    input:
        prompts=of_split("prompts"),
        variance=of_split("variance"),
        policy=base_policy(),
    output:
        crops=places.pattern_of_crops("prompts"),
        annotations=places.pattern_of_crops("annotations"),
    log:
        "logs/shared/crop/{dataset}.{split}-{digest}.log",
    benchmark:
        "benchmarks/shared/crop/{dataset}.{split}-{digest}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=flags(experiment.crop),
        policy=flags(experiment.policy.model_copy(update={"dtype": None}), Policy),
        weights=policy_digest(experiment.policy.model),
        code=code_digest("crop"),
    message:
        "Cropping what is uncertain on {wildcards.dataset}/{wildcards.split}"
    shell:
        "dipr1 crop {input.prompts}"
        " --variance {input.variance}"
        " {params.policy}"
        " {params.options}"
        " --output {output.crops}"
        " --annotations-output {output.annotations}"
        " > {log} 2>&1"
