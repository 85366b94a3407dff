"""Label Studio: a server of its own, tasks imported, corrected as its page would, and exported."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

CONFIG = """<View><Image name="image" value="$image"/>
<RectangleLabels name="label" toName="image"><Label value="person"/><Label value="person?"/>
</RectangleLabels></View>"""
TOKEN = "0" * 40

folder, _, output = sys.argv[1:]
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
place = f"http://127.0.0.1:{port}"
session = requests.Session()
session.headers["Authorization"] = f"Token {TOKEN}"
session.trust_env = False


def call(method: str, path: str, **content):
    answer = session.request(method, f"{place}/api/{path}", **content)
    assert answer.ok, answer.text
    return answer.json()


def wait_until_up(server: subprocess.Popen) -> None:
    for _ in range(240):
        assert server.poll() is None, "the server ended"
        try:
            if session.get(f"{place}/health").ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(1)
    raise TimeoutError("no Label Studio after four minutes")


def submit(task: dict, result: list[dict]) -> None:
    call("POST", f"tasks/{task['id']}/annotations", json={"result": result})


command = [
    *(Path(sys.executable).with_name("label-studio"), "start", "--no-browser", "--port", str(port)),
    *("--internal-host", "127.0.0.1", "--host", place, "--username", "a@b.cd"),
    *("--password", "of-no-account", "--user-token", TOKEN, "--enable-legacy-api-token"),
]
quiet = {"LATEST_VERSION_CHECK": "false", "COLLECT_ANALYTICS": "false", "SENTRY_DSN": ""}
kept = {"LABEL_STUDIO_BASE_DATA_DIR": f"{folder}/label-studio", "FRONTEND_SENTRY_DSN": ""}
server = subprocess.Popen(command, env=os.environ | quiet | kept)
try:
    wait_until_up(server)
    project = call("POST", "projects", json={"title": "dipr1", "label_config": CONFIG})["id"]
    tasks = json.loads(Path(folder, "labelstudio.json").read_text())
    imported = call("POST", f"projects/{project}/import", json=tasks)
    listed = call("GET", f"tasks?project={project}&fields=all")["tasks"]
    results = {task["id"]: task["predictions"][0]["result"] for task in listed}
    changed = next(task for task in listed if '"person?"' in json.dumps(results[task["id"]]))
    untouched, *others = (task for task in listed if task is not changed)
    # the first label is none, and the suggestions are people
    corrected = results[changed["id"]][1:]
    for one in corrected:
        one["value"]["rectanglelabels"] = ["person"]
    submit(changed, corrected)
    for task in others:
        submit(task, results[task["id"]])
    everything = "exportType=JSON&download_all_tasks=true"
    exported = call("GET", f"projects/{project}/export?{everything}")
    Path(folder, "submitted.json").write_text(json.dumps(exported))
finally:
    server.terminate()
    server.wait(30)
found = {
    "imported": {name: imported[f"{name}_count"] for name in ("task", "prediction")},
    "changed": changed["data"]["image_id"],
    "untouched": untouched["data"]["image_id"],
}
Path(output).write_text(json.dumps(found))
