rule describe:
    input:
        images=of_split("download"),
        annotations=of_split("annotations"),
        rejects=of_split("rejects"),
    output:
        page="<results>/describe/{dataset}/{split}.html",
        numbers="<results>/describe/{dataset}/{split}.json",
    log:
        "<logs>/describe/{dataset}.{split}.log",
    benchmark:
        "<benchmarks>/describe/{dataset}.{split}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code_digest("describe"),
    message:
        "Telling what is in {wildcards.dataset}/{wildcards.split}"
    shell:
        "dipr1 describe {input.annotations}"
        " --rejects {input.rejects}"
        " --html {output.page}"
        " --json"
        " > {output.numbers} 2> {log}"
