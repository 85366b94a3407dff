# makes the embedded policy from nothing; no other rule needs it, for the result ships with dipr1
rule pretrain:
    output:
        policy=directory(f"{places.shared}/pretrain/tiny"),
    log:
        "logs/shared/pretrain.log",
    benchmark:
        "benchmarks/shared/pretrain.jsonl"
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=0,
    params:
        checkpoints=f"{places.shared}/checkpoints/pretrain",
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
