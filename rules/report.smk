rule report:
    input:
        metrics=per_run_and_set("<results>/metrics/{arm}/seed{seed}/{dataset}.{split}.parquet"),
        images=per_run_and_set(
            "<results>/metrics/{arm}/seed{seed}/{dataset}.{split}.images.parquet"
        ),
        predictions=per_run_and_set(
            "<results>/predictions/{arm}/seed{seed}/{dataset}.{split}.parquet"
        ),
        annotations=of_sets("annotations", every_set()),
        rejects=of_sets("rejects", every_set()),
        variance=of_sets("variance", evaluation_sets()),
        audit=expand("<results>/audit/{set}.parquet", set=map("/".join, every_set())),
        pictures=of_sets("download", every_set()),
        policies=ancient(per_trained_run("<results>/policies/{arm}/seed{seed}")),
        sums=per_trained_run("<results>/policies/{arm}/seed{seed}.sha256"),
    output:
        page=report(
            "<results>/report/index.html",
            caption="../workflow/report/page.rst",
            category="Comparison of the arms",
            labels={"what": "the page: figures, images, label errors"},
        ),
        figures=report(
            directory("<results>/report/figures"),
            patterns=["{figure}.svg"],
            caption="../workflow/report/figures.rst",
            category="Comparison of the arms",
            labels={"what": "figure: {figure}"},
        ),
        comparison=report(
            "<results>/report/comparison.csv",
            caption="../workflow/report/comparison.rst",
            category="Comparison of the arms",
            labels={"what": "table: every metric with intervals and differences"},
        ),
        exports=multiext("<results>/report/comparison", ".parquet", ".md", ".tex"),
        summary="<results>/report/summary.md",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        training_logs=lambda wildcards, input: [
            f"{policy}/training_log.parquet" for policy in input.policies
        ],
        # in this order, which is not in the record of the inputs
        order=[*experiment.arms, *experiment.evaluation.sets],
        trained_on=".".join(training_set()),
        options=flags(experiment.report),
        code=code_digest("report"),
    message:
        "Writing the page that compares the arms"
    shell:
        "dipr1 report"
        " --metrics {input.metrics}"
        " --images {input.images}"
        " --predictions {input.predictions}"
        " --annotations {input.annotations}"
        " --rejects {input.rejects}"
        " --variance {input.variance}"
        " --audit {input.audit}"
        " --training-logs {params.training_logs}"
        " --trained-on {params.trained_on}"
        " {params.options}"
        " --output {output.page}"
        " > {log} 2>&1"
