"""verl: a Parquet data set for GRPO, from prompts.

``data.train_files=FILE data.image_key=images`` with the rewards of
:mod:`dipr1.rewards.adapters.for_verl`.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dipr1.exports.options import Exporting
from dipr1.exports.questions import Question, questions, read

READS = "prompts"
MESSAGES = pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
SCHEMA = pa.schema(
    {
        "data_source": pa.string(),
        "prompt": MESSAGES,
        "images": pa.list_(pa.struct({"image": pa.string()})),
        "reward_model": pa.struct({"style": pa.string(), "ground_truth": pa.string()}),
        "extra_info": pa.struct({"index": pa.int64(), "image_id": pa.string()}),
    }
)


def write(source: str, output: Path, options: Exporting) -> str:
    """One row per prompt; `reward_model.ground_truth` is JSON, so that all rows have one type.

    Rows without statistics have a `data_source` of their own, since verl logs means by it and the
    looking reward is NaN there.

    Raises:
        UserError: as :func:`dipr1.exports.questions.questions`.
    """
    prompts, columns = read(source, options)
    rows = [
        {
            "data_source": "dipr1" if _measured(one) else "dipr1_without_looks",
            "prompt": one.messages,
            "images": [{"image": one.image}],
            "reward_model": {"style": "rule", "ground_truth": one.ground_truth},
            "extra_info": {"index": number, "image_id": one.columns["image_id"]},
        }
        for number, one in enumerate(questions(prompts, columns, options))
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), output)
    return f"{len(rows)} questions"


def _measured(question: Question) -> bool:
    return question.columns.get("region_boxes") is not None
