rule convert:
    input:
        source=of_split("download"),
        policy=base_policy(),
        corrections=corrections,
    output:
        annotations=places.pattern("annotations"),
        rejects=places.pattern("rejects"),
        prompts=places.pattern("prompts"),
    log:
        "logs/shared/convert/{dataset}.{split}-{digest}.log",
    benchmark:
        "benchmarks/shared/convert/{dataset}.{split}-{digest}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        source=subpath(input.source, parent=True),
        options=convert_flags,
        corrections=lambda wildcards, input: [
            f"--corrections {shlex.quote(path)}" for path in input.corrections
        ],
        policy=flags(experiment.policy.model_copy(update={"dtype": None}), Policy),
        weights=policy_digest(experiment.policy.model),
        code=lambda wildcards: code_digest("convert", format=annotation_format(wildcards)),
    message:
        "Turning the annotations of {wildcards.dataset}/{wildcards.split} into grounded prompts"
    shell:
        "dipr1 convert"
        " --source {params.source}"
        " {params.corrections}"
        " {params.options}"
        " {params.policy}"
        " --output {output.annotations}"
        " --rejects {output.rejects}"
        " --prompts {output.prompts}"
        " > {log} 2>&1"
