rule join:
    input:
        shards=shards_of,
    output:
        answers="{answers}.parquet",
    log:
        "logs/join/{answers}.log",
    benchmark:
        "benchmarks/join/{answers}.jsonl"
    wildcard_constraints:
        answers=rf"{places.shared}/samples/[^.]+(\.crops)?-\w+|{places.own}/predictions/[^.]+\.\w+",
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    message:
        "Joining the shards of {wildcards.answers}"
    shell:
        "dipr1 join {input.shards}"
        " --output {output.answers}"
        " > {log} 2>&1"
        " && rm {input.shards}"


ruleorder: join > sample
ruleorder: join > predict
ruleorder: join > inspect
