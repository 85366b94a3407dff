rule gain:
    input:
        variance="results/variance/{dataset}/{split}.parquet",
        crops="results/prompts/{dataset}/{split}.crops.parquet",
        crops_variance="results/variance/{dataset}/{split}.crops.parquet",
    output:
        variance="results/variance/{dataset}/{split}.gain.parquet",
    log:
        "logs/gain/{dataset}.{split}.log",
    benchmark:
        "benchmarks/gain/{dataset}.{split}.jsonl"
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
