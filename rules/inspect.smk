rule inspect:
    input:
        prompts=of_split("prompts"),
        images=of_split("download"),
        predictions="<results>/predictions/{arm}/seed{seed}/{dataset}.{split}.parquet",
        policy=policy_of,
        sums=sums_of,
    output:
        predictions="<results>/predictions/{arm}+{look}/seed{seed}/{dataset}.{split}{shard}.parquet",
    log:
        "<logs>/inspect/{arm}+{look}.seed{seed}.{dataset}.{split}{shard}.log",
    benchmark:
        "<benchmarks>/inspect/{arm}+{look}.seed{seed}.{dataset}.{split}{shard}.jsonl"
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
        options=flags(experiment.sample, Generation),
        looking=lambda wildcards: flags(
            looks_again()[f"{wildcards.arm}+{wildcards.look}"], LookAgain
        ),
        # finished parts of an interrupted job, outside the outputs that Snakemake deletes
        parts=checkpoints("predictions/{arm}+{look}/seed{seed}/{dataset}.{split}{shard}"),
        weights=policy_digest(experiment.policy.model),
        code=code_digest("inspect", **code_of_engine(experiment.policy.engine)),
    message:
        "Looking again ({wildcards.look}) at {wildcards.dataset}/{wildcards.split}"
        " with arm {wildcards.arm}, seed {wildcards.seed}"
    shell:
        "dipr1 inspect {input.predictions}"
        " --prompts {input.prompts}"
        " {params.shard}"
        " {params.where}"
        " {params.policy}"
        " --arm {wildcards.arm}+{wildcards.look}"
        " --seed {wildcards.seed}"
        " {params.options}"
        " {params.looking}"
        " --threads {threads}"
        " --parts {params.parts}"
        " --output {output.predictions}"
        " > {log} 2>&1"
