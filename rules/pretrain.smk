# makes the embedded policy from nothing; no other rule needs it, for the result ships with dipr1
rule pretrain:
    output:
        policy=directory("results/pretrain/tiny"),
    log:
        "logs/pretrain.log",
    benchmark:
        "benchmarks/pretrain.jsonl"
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=0,
    params:
        checkpoints="results/checkpoints/pretrain",
        code=code_digest("pretrain"),
    message:
        "Pretraining the embedded tiny policy"
    shell:
        "dipr1 pretrain"
        " --output {output.policy}"
        " --seed 0"
        " --threads {threads}"
        " --checkpoints {params.checkpoints}"
        " > {log} 2>&1"
