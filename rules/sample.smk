rule sample:
    input:
        prompts=of_split("prompts"),
        images=images_of,
        policy=base_policy(),
    output:
        samples=in_shards(places.pattern("samples")),
    log:
        "logs/shared/sample/{dataset}.{split}-{digest}{shard}.log",
    benchmark:
        "benchmarks/shared/sample/{dataset}.{split}-{digest}{shard}.jsonl"
    wildcard_constraints:
        split=SPLIT_OR_CROPS,
    conda:
        answering_environment()
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=experiment.policy.gpus,
    params:
        shard=shard_flag,
        seed=experiment.seeds[0],
        where=unfollowed(lambda wildcards: where_flags(experiment.policy.model, answering())),
        policy=policy_flags(answering()),
        options=flags(experiment.sample),
        # finished parts of an interrupted job, outside the outputs that Snakemake deletes
        parts=f"{places.shared}/checkpoints/samples/{{dataset}}/{{split}}-{{digest}}{{shard}}",
        weights=policy_digest(experiment.policy.model),
        code=code_digest("sample", **code_of_engine(experiment.policy.engine)),
    message:
        "Sampling the base policy on {wildcards.dataset}/{wildcards.split} {params.shard}"
    shell:
        "dipr1 sample {input.prompts}"
        " {params.shard}"
        " --seed {params.seed}"
        " {params.where}"
        " {params.policy}"
        " {params.options}"
        " --threads {threads}"
        " --parts {params.parts}"
        " --output {output.samples}"
        " > {log} 2>&1"
