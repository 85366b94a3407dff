rule variance:
    input:
        annotations="results/annotations/{dataset}/{split}.parquet",
        samples=expand(
            "results/samples/{{dataset}}/{{split}}/{shard}.parquet",
            shard=range(experiment.num_shards),
        ),
    output:
        regions="results/variance/{dataset}/{split}.parquet",
    log:
        "logs/variance/{dataset}.{split}.log",
    benchmark:
        "benchmarks/variance/{dataset}.{split}.jsonl"
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
