"""FiftyOne: the data set, a box removed and a suspect added in it, and what it writes then."""

import json
import sys

import fiftyone as fo

folder, _, output = sys.argv[1:]
data = fo.Dataset.from_dir(f"{folder}/fiftyone", dataset_type=fo.types.FiftyOneDataset)
counts = {name: data.count(f"{name}.detections") for name in ("ground_truth", "predictions")}
evaluated = data.evaluate_detections(
    "predictions", "ground_truth", method="coco", iscrowd="iscrowd"
)
sample = next(one for one in data if "person?" in [each.label for each in one.suspects.detections])
sample.ground_truth.detections[0].tags.append("remove")
suggested = [one for one in sample.suspects.detections if one.label == "person?"]
for one in suggested:
    one.tags.append("add")
sample.save()
data.export(f"{folder}/corrected", dataset_type=fo.types.FiftyOneDataset, export_media=False)
found = {
    "counts": counts,
    "support": int(evaluated.report()["person"]["support"]),
    "images": [[one.filepath, one.metadata.width, one.metadata.height] for one in data],
    "corrected": sample.image_id,
    "added": len(suggested),
}
with open(output, "w", encoding="utf-8") as file:
    json.dump(found, file)
