"""ms-swift: its data set, and the inputs that its template makes of every row."""

import json
import sys

from swift.dataset import load_dataset
from swift.model import get_processor
from swift.template import get_template

folder, policy, output = sys.argv[1:]
rows, _ = load_dataset(f"{folder}/swift.jsonl", remove_unused_columns=False, strict=True)
processor = get_processor(policy, model_type="qwen3_vl")
template = get_template(processor)
template.image_token_id = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
template.set_mode("transformers")
found = []
for row in rows:
    encoded = template.encode(dict(row))
    found.append(
        {
            "row": {
                name: value for name, value in row.items() if name not in ("images", "messages")
            },
            "image": row["images"][0]["path"],
            "image_tokens": encoded["input_ids"].count(template.image_token_id),
            "grid": encoded["image_grid_thw"].tolist()[0],
            "text": template.safe_decode(encoded["input_ids"]),
        }
    )
with open(output, "w", encoding="utf-8") as file:
    json.dump(found, file)
