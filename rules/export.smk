rule export:
    input:
        annotations=of_split("annotations"),
    output:
        coco="<results>/export/{dataset}/{split}.json",
    log:
        "<logs>/export/{dataset}.{split}.log",
    benchmark:
        "<benchmarks>/export/{dataset}.{split}.jsonl"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        code=code_digest("export", exported="coco"),
    message:
        "Writing the annotations of {wildcards.dataset}/{wildcards.split} as COCO JSON"
    shell:
        "dipr1 export {input.annotations} --output {output.coco} > {log} 2>&1"
