rule download:
    input:
        unpack(source_files),
    output:
        source=places.pattern("download"),
    log:
        "logs/shared/download/{dataset}.{split}-{digest}.log",
    benchmark:
        "benchmarks/shared/download/{dataset}.{split}-{digest}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=download_minutes,
    params:
        format=format_of,
        options=download_flags,
        folder=subpath(output.source, parent=True),
        code=lambda wildcards: code_digest(
            "download", **code_of_download(format_of(wildcards), split_options(wildcards))
        ),
    message:
        "Getting the images of {wildcards.dataset}/{wildcards.split}"
    shell:
        "dipr1 download"
        " --format {params.format}"
        " {params.options}"
        " --dataset {wildcards.dataset}"
        " --split {wildcards.split}"
        " --output {params.folder}"
        " > {log} 2>&1"
