rule crop:
    input:
        prompts="results/prompts/{dataset}/{split}.parquet",
        variance="results/variance/{dataset}/{split}.parquet",
        policy=base_policy(),
    output:
        crops="results/prompts/{dataset}/{split}.crops.parquet",
        annotations="results/annotations/{dataset}/{split}.crops.parquet",
    log:
        "logs/crop/{dataset}.{split}.log",
    benchmark:
        "benchmarks/crop/{dataset}.{split}.jsonl"
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
