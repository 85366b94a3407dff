"""Ultralytics YOLO: its data set, with pictures and labels checked and cached."""

import json
import sys

from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset

folder, _, output = sys.argv[1:]
data = check_det_dataset(f"{folder}/yolo/data.yaml", autodownload=False)
rows = YOLODataset(img_path=data["val"], data=data, task="detect", augment=False)
found = {
    "names": data["names"],
    "images": [
        {"file": label["im_file"], "size": label["shape"], "boxes": label["bboxes"].tolist()}
        for label in rows.labels
    ],
}
with open(output, "w", encoding="utf-8") as file:
    json.dump(found, file)
