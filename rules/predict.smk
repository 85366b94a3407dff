rule predict:
    input:
        prompts=of_split("prompts"),
        images=of_split("download"),
        policy=policy_of,
    output:
        predictions=made_in(
            "<results>/predictions/{arm}/seed{seed}/{dataset}.{split}.parquet",
            experiment.evaluation.num_shards,
        ),
    log:
        shard_of(
            "<logs>/predict/{arm}.seed{seed}.{dataset}.{split}.log",
            experiment.evaluation.num_shards,
        ),
    benchmark:
        shard_of(
            "<benchmarks>/predict/{arm}.seed{seed}.{dataset}.{split}.jsonl",
            experiment.evaluation.num_shards,
        )
    conda:
        answering_environment()
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=experiment.policy.gpus,
    params:
        shard=shard_flag(experiment.evaluation.num_shards),
        where=answering_where,
        policy=policy_flags(answering()),
        form=lambda wildcards: flags(experiment.arms[wildcards.arm], Asked),
        options=flags(experiment.sample, Generation),
        # finished parts of an interrupted job, outside the outputs that Snakemake deletes
        parts=shard_of(
            checkpoints("predictions/{arm}/seed{seed}/{dataset}.{split}"),
            experiment.evaluation.num_shards,
        ),
        weights=policy_digest(experiment.policy.model),
        code=code_digest("predict", **code_of_engine(experiment.policy.engine)),
    message:
        "Predicting {wildcards.dataset}/{wildcards.split}"
        " with arm {wildcards.arm}, seed {wildcards.seed}"
    shell:
        "dipr1 predict {input.prompts}"
        " {params.shard}"
        " {params.where}"
        " {params.policy}"
        " {params.form}"
        " --arm {wildcards.arm}"
        " --seed {wildcards.seed}"
        " {params.options}"
        " --threads {threads}"
        " --parts {params.parts}"
        " --output {output.predictions}"
        " > {log} 2>&1"
