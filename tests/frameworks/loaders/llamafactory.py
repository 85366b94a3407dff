"""LLaMA-Factory: its data set for supervised fine-tuning, tokenised with the bounds it was told.

The policy is the one that sees more pixels than the default bounds let pass.
"""

import json
import sys
from pathlib import Path

import yaml
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.extras.constants import IGNORE_INDEX
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

folder, _, output = sys.argv[1:]
bounds = Path(folder, "llamafactory.txt").read_text().rpartition("set ")[2]
model, data, training, _, _ = get_train_args(
    {
        "model_name_or_path": f"{folder}/wide",
        "template": "qwen3_vl_nothink",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "dataset_dir": f"{folder}/llamafactory",
        "dataset": "dipr1",
        "cutoff_len": 4096,
        "output_dir": f"{folder}/trained",
        "use_cpu": True,
        **yaml.safe_load(f"{{{bounds}}}"),
    }
)
loaded = load_tokenizer(model)
template = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
rows = get_dataset(template, model, data, training, stage="sft", **loaded)["train_dataset"]
token = loaded["tokenizer"].convert_tokens_to_ids("<|image_pad|>")
found = []
for row in rows:
    taught = [label for label in row["labels"] if label != IGNORE_INDEX]
    found.append(
        {
            "image": row["images"][0],
            "image_tokens": row["input_ids"].count(token),
            "text": loaded["tokenizer"].decode(row["input_ids"]),
            "taught": loaded["tokenizer"].decode(taught, skip_special_tokens=True),
        }
    )
with open(output, "w", encoding="utf-8") as file:
    json.dump(found, file)
