"""EasyR1, which no registry has: `datasets` as it loads files, and prompts built as it builds them.

The steps are those of `RLHFDataset` in its `verl/utils/dataset.py`.
"""

import json
import sys

from datasets import load_dataset
from PIL import Image
from transformers import AutoProcessor

folder, policy, output = sys.argv[1:]
processor = AutoProcessor.from_pretrained(policy)
token = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
found = []
for row in load_dataset("json", data_files=f"{folder}/easyr1.jsonl", split="train"):
    before, after = row["problem"].split("<image>")
    assert before == ""
    content = [{"type": "image"}, {"type": "text", "text": after}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    images = [Image.open(path) for path in row["images"]]
    inputs = processor(images=images, text=[prompt], add_special_tokens=False, return_tensors="pt")
    found.append(
        {
            "answer": row["answer"],
            "image_tokens": int((inputs["input_ids"] == token).sum()),
            "text": prompt,
        }
    )
with open(output, "w", encoding="utf-8") as file:
    json.dump(found, file)
