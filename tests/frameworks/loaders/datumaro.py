"""Datumaro: CVAT's XML, read and written again."""

import json
import sys

from datumaro import Dataset

folder, _, output = sys.argv[1:]
data = Dataset.import_from(f"{folder}/cvat", "cvat")
names = [label.name for label in data.categories()[next(iter(data.categories()))].items]
found = {
    "labels": names,
    "images": {
        item.id: [
            {"box": list(map(float, box.points)), "label": names[box.label]} | box.attributes
            for box in item.annotations
        ]
        for item in data
    },
}
data.export(f"{folder}/cvat_back", "cvat")
with open(output, "w", encoding="utf-8") as file:
    json.dump(found, file)
