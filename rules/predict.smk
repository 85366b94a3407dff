rule predict:
    input:
        prompts=of_split("prompts"),
        images=of_split("download"),
        policy=policy_of,
        sums=sums_of,
    output:
        predictions="<results>/predictions/{arm}/seed{seed}/{dataset}.{split}{shard}.parquet",
    log:
        "<logs>/predict/{arm}.seed{seed}.{dataset}.{split}{shard}.log",
    benchmark:
        "<benchmarks>/predict/{arm}.seed{seed}.{dataset}.{split}{shard}.jsonl"
    conda:
        answering_environment()
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=experiment.policy.gpus,
    params:
        shard=shard_flag,
        where=answering_where,
        policy=policy_flags(answering()),
        form=lambda wildcards: flags(experiment.arms[wildcards.arm], Asked),
        options=flags(experiment.sample, Generation),
        # finished parts of an interrupted job, outside the outputs that Snakemake deletes
        parts=checkpoints("predictions/{arm}/seed{seed}/{dataset}.{split}{shard}"),
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
