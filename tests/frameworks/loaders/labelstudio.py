"""Label Studio: tasks checked by its interface, and converted to COCO when they are submitted."""

import json
import sys
from pathlib import Path

from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface

CONFIG = """<View><Image name="image" value="$image"/>
<RectangleLabels name="label" toName="image"><Label value="person"/><Label value="person?"/>
</RectangleLabels></View>"""

folder, _, output = sys.argv[1:]
tasks = json.loads(Path(folder, "labelstudio.json").read_text())
interface = LabelInterface(CONFIG)
faults = [
    fault
    for task in tasks
    for prediction in task["predictions"]
    for fault in interface.validate_prediction(prediction, return_errors=True)
]
submitted = [
    {"id": number, "data": task["data"], "predictions": [],
     "annotations": [{"id": number, "was_cancelled": False} | task["predictions"][0]]}
    for number, task in enumerate(tasks, 1)
]  # fmt: skip
Path(folder, "submitted.json").write_text(json.dumps(submitted))
converter = Converter(CONFIG, str(folder), download_resources=False)
converter.convert_to_coco(f"{folder}/submitted.json", f"{folder}/coco", is_dir=False)
coco = json.loads(Path(folder, "coco", "result.json").read_text())
Path(output).write_text(json.dumps({"faults": faults, "tasks": len(tasks)} | coco))
