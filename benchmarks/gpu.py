"""What GRPO costs at full size: a policy of Qwen2.5-VL's shape, its weights at random.

    python benchmarks/gpu.py --size 3b --folder /tmp/gpu

Draws a few scenes, converts them to the policy's frame, samples, measures variance and trains a few
updates, whole and as an adapter, verb by verb as the workflow does, and prints time, seconds of an
update and peak memory of each. The weights decide what is written, not what it costs; only the
length of the responses does, and at random they are as long as allowed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

SHAPES = {
    # as in the published config.json of the family; vocabulary as there, tied embeddings
    "3b": {"hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16,
           "num_key_value_heads": 2, "intermediate_size": 11008, "tie_word_embeddings": True},
    "7b": {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28,
           "num_key_value_heads": 4, "intermediate_size": 18944, "tie_word_embeddings": False},
    "test": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "intermediate_size": 64, "tie_word_embeddings": True},
}  # fmt: skip
VOCABULARY = 151936
MAX_PIXELS = 1024 * 28 * 28


def build(folder: Path, size: str) -> None:
    """Write a checkpoint of that shape, in bfloat16."""
    import torch
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    from dipr1.demo import tiny

    tokenizer = tiny.build_tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    shape = SHAPES[size]
    heads = shape["hidden_size"] // shape["num_attention_heads"] // 2
    text = shape | {
        "vocab_size": VOCABULARY if size != "test" else len(tokenizer),
        "max_position_embeddings": 32768,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [heads - 2 * (heads * 3 // 8), heads * 3 // 8, heads * 3 // 8],
        },
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    small = size == "test"
    vision = {
        "depth": 2 if small else 32,
        "hidden_size": 64 if small else 1280,
        "intermediate_size": 64 if small else 3420,
        "num_heads": 4 if small else 16,
        "out_hidden_size": shape["hidden_size"],
        "fullatt_block_indexes": [1] if small else [7, 15, 23, 31],
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=shape["tie_word_embeddings"],
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        model = Qwen2_5_VLForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e9:.2f} G parameters")
    model.save_pretrained(folder)
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(
            size={"shortest_edge": 56 * 56, "longest_edge": MAX_PIXELS}
        ),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=tiny.CHAT_TEMPLATE,
    ).save_pretrained(folder)


def measured(*verb: object) -> dict[str, float]:
    """Run a verb; its seconds, those of an update, and its most memory on the GPU, in GiB."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        while not done.wait(0.5):
            used = subprocess.run(query, capture_output=True, text=True).stdout.split()
            peak[0] = max([peak[0], *(float(value) / 1024 for value in used)])

    if shutil.which("nvidia-smi"):
        threading.Thread(target=watch, daemon=True).start()
    begin, updates = time.perf_counter(), []
    command = [sys.executable, "-u", "-m", "dipr1.cli", *map(str, verb)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        for line in run.stdout:
            print(line, end="", flush=True)
            if re.search(r": update \d+ of", line):
                updates.append(time.perf_counter())
    done.set()
    seconds = time.perf_counter() - begin
    if run.returncode:  # the next may fit where this one did not
        return {"failed": run.returncode, "seconds": round(seconds, 1), "peak_gib": peak[0]}
    figures = {"seconds": round(seconds, 1), "peak_gib": round(peak[0], 1)}
    if len(updates) > 1:  # the first one compiles and allocates
        figures["update"] = round((updates[-1] - updates[0]) / (len(updates) - 1), 2)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=sorted(SHAPES), default="3b")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--prompts-per-update", type=int, default=4)
    parser.add_argument("--micro-batch-size", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--sample-batch-size", type=int, default=64)
    parser.add_argument(
        "--arms", nargs="+", default=["grpo", "grpo-lora"], help="grpo or sft, or METHOD-lora"
    )
    args = parser.parse_args()
    folder: Path = args.folder
    policy = folder / "policy"
    if not (policy / "config.json").is_file():
        build(policy, args.size)
    a = folder / "artifacts"
    measured("download", "--format", "scenes", "--num-images", args.images, "--output", a / "data")
    measured(
        "convert", "--source", a / "data", "--labels", "person", "--policy", policy,
        "--output", a / "annotations.parquet", "--rejects", a / "rejects.parquet",
        "--prompts", a / "prompts.parquet",
    )  # fmt: skip
    figures = {}
    figures["sample"] = measured(
        "sample", a / "prompts.parquet", "--policy", policy, "--dtype", "bfloat16",
        "--num-samples", args.group_size, "--max-new-tokens", args.tokens,
        "--batch-size", args.sample_batch_size, "--output", a / "samples.parquet",
    )  # fmt: skip
    figures["variance"] = measured(
        "variance", a / "samples.parquet", "--annotations", a / "annotations.parquet",
        "--least-readable", 0, "--output", a / "variance.parquet",
    )  # fmt: skip
    rewards = {"reasoning": 1, "looking": 0.3, "accuracy": 3}
    rollouts = [
        "--rewards", json.dumps(rewards), "--group-size", args.group_size,
        "--micro-batch-size", args.micro_batch_size, "--max-completion-length", args.tokens,
    ]  # fmt: skip
    for arm in args.arms:
        method, _, adapter = arm.partition("-")
        figures[arm] = measured(
            "train", "--arm", arm, "--method", method, "--prompts", a / "prompts.parquet",
            *(rollouts if method == "grpo" else []),
            *(["--lora-rank", 16] if adapter else []),
            "--variance", a / "variance.parquet", "--policy", policy, "--dtype", "bfloat16",
            "--updates", args.updates, "--prompts-per-update", args.prompts_per_update,
            "--gradient-checkpointing", "true", "--precision", "bf16",
            "--save-every", 1000, "--checkpoints", folder / "checkpoints" / arm,
            "--output", folder / arm,
        )  # fmt: skip
        shutil.rmtree(folder / arm, ignore_errors=True)
        print(arm, figures[arm], flush=True)
    print(json.dumps({"size": args.size, **vars(args), **figures}, default=str, indent=1))


if __name__ == "__main__":
    main()
