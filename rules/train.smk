rule train:
    input:
        prompts=places.path("prompts", *training_set()),
        images=places.path("download", *training_set()),
        variance=variance_for,
        crops=crops_of,
        policy=start_of,
        sums=sums_of_start,
    output:
        sums="<results>/policies/{arm}/seed{seed}.sha256",
        policy=report(
            directory("<results>/policies/{arm}/seed{seed}"),
            patterns=["{name}_log.parquet"],
            caption="../workflow/report/training.rst",
            category="Training",
            labels={"arm": "{arm}", "seed": "{seed}"},
        ),
    log:
        "<logs>/train/{arm}.seed{seed}.log",
    benchmark:
        "<benchmarks>/train/{arm}.seed{seed}.jsonl"
    conda:
        training_environment()
    threads: experiment.training.threads * experiment.training.processes
    resources:
        **gpus_of_training(experiment.training),
        mem_mb=6000 * experiment.training.processes,
        runtime=720,
        nodes=experiment.training.nodes,
    params:
        command=unfollowed(lambda wildcards: train_command(experiment.training)),
        where=start_where,
        policy=policy_flags(Policy),
        crops=lambda wildcards, input: f"--crops-file {input.crops}" if input.crops else "",
        # a function, so that braces in a text are not taken for wildcards
        options=lambda wildcards: train_flags(experiment, wildcards.arm),
        machine=unfollowed(lambda wildcards: machine_flags(experiment, wildcards.arm)),
        # outside the outputs, which Snakemake deletes before a run and after a failure
        checkpoints=checkpoints("train/{arm}/seed{seed}"),
        weights=policy_digest(experiment.policy.model),
        code=lambda wildcards: code_digest(
            "train", **code_of_training(experiment.arms[wildcards.arm])
        ),
    message:
        "Training arm {wildcards.arm}, seed {wildcards.seed}"
    # in place of the shell, so that a signal to leave reaches it and the shell does not end first
    shell:
        "exec {params.command}"
        " --arm {wildcards.arm}"
        " --prompts {input.prompts}"
        " --variance {input.variance}"
        " {params.crops}"
        " {params.where}"
        " {params.policy}"
        " --seed {wildcards.seed}"
        " --threads {threads}"
        " --checkpoints {params.checkpoints}"
        " --output {output.policy}"
        " --sums {output.sums}"
        " {params.options}"
        " {params.machine}"
        " > {log} 2>&1"
