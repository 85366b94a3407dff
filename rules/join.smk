rule join:
    input:
        shards=shards_of,
    output:
        answers="{answers}.parquet",
    log:
        "logs/join/{answers}.log",
    benchmark:
        "benchmarks/join/{answers}.jsonl"
    # what is made in several shards
    wildcard_constraints:
        answers=joined(),
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code_digest("join"),
    message:
        "Joining the shards of {wildcards.answers}"
    shell:
        "dipr1 join {input.shards}" " --output {output.answers}" " > {log} 2>&1"
