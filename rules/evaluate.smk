rule evaluate:
    input:
        predictions="<results>/predictions/{arm}/seed{seed}/{dataset}.{split}.parquet",
        annotations=of_split("annotations"),
        prompts=of_split("prompts"),
        variance=of_split("variance"),
    output:
        metrics=report(
            "<results>/metrics/{arm}/seed{seed}/{dataset}.{split}.parquet",
            caption="../workflow/report/metrics.rst",
            category="Metrics",
            labels={"arm": "{arm}", "seed": "{seed}", "set": "{dataset}.{split}"},
        ),
        images="<results>/metrics/{arm}/seed{seed}/{dataset}.{split}.images.parquet",
    log:
        "<logs>/evaluate/{arm}.seed{seed}.{dataset}.{split}.log",
    benchmark:
        "<benchmarks>/evaluate/{arm}.seed{seed}.{dataset}.{split}.jsonl"
    # an arm's answers in one view, or looking again
    wildcard_constraints:
        arm="|".join(map(re.escape, [*experiment.arms, *looks_again()])),
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        score=experiment.evaluation.score,
        code=code_digest("evaluate"),
    message:
        "Scoring arm {wildcards.arm}, seed {wildcards.seed}"
        " on {wildcards.dataset}/{wildcards.split}"
    shell:
        "dipr1 evaluate"
        " --predictions {input.predictions}"
        " --annotations {input.annotations}"
        " --prompts {input.prompts}"
        " --variance {input.variance}"
        " --score {params.score}"
        " --output {output.metrics}"
        " --images-output {output.images}"
        " > {log} 2>&1"
