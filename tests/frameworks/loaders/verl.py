"""verl: its data set, and the inputs that its processor makes of every row."""

import asyncio
import json
import sys

from omegaconf import OmegaConf
from transformers import AutoProcessor
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

folder, policy, output = sys.argv[1:]
processor = AutoProcessor.from_pretrained(policy)
config = OmegaConf.create({"max_prompt_length": 4096, "cache_dir": f"{folder}/cache"})
rows = RLHFDataset(f"{folder}/verl.parquet", processor.tokenizer, config, processor)
token = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
found = []
for row in rows:
    patch = rows.image_patch_size
    images, _ = asyncio.run(RLHFDataset.process_vision_info(row["raw_prompt"], patch, config))
    prompt = processor.apply_chat_template(row["raw_prompt"], add_generation_prompt=True)
    inputs = processor(text=[prompt], images=images, return_tensors="pt")
    found.append(
        {
            "row": row["reward_model"],
            "source": row["data_source"],
            "image_tokens": int((inputs["input_ids"] == token).sum()),
            "grid": inputs["image_grid_thw"].tolist()[0],
            "text": prompt,
        }
    )
assert len(collate_fn([rows[0], rows[1]])["reward_model"]) == 2
with open(output, "w", encoding="utf-8") as file:
    json.dump(found, file)
