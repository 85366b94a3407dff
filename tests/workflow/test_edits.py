"""Edits of a finished run's code and configuration, and exactly the jobs that each repeats."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dipr1 import provenance
from dipr1.cli import VERBS, WITHOUT_RULE
from dipr1.config import load
from dipr1.places import Places
from dipr1.provenance import modules_behind
from tests.workflow.conftest import PLACES, SHORT, Workflow
from tests.workflow.planner import Planner

ROOT = Path(__file__).parents[2]

SFT = {"train sft", "predict sft", "evaluate sft", "report"}
LOOK = {"inspect dipr1+own", "evaluate dipr1+own", "report"}
GRPO = {"train dipr1", "predict dipr1", "evaluate dipr1"} | LOOK
EVALUATE = {"evaluate base", "evaluate sft", "evaluate dipr1", "evaluate dipr1+own", "report"}
VARIANCE = {"variance", "audit"} | SFT | GRPO | EVALUATE
SAMPLE = {"sample", "join"} | VARIANCE
PREDICT = {"predict base"} | SFT | GRPO | EVALUATE
EVERYTHING = {"download", "convert"} | SAMPLE | PREDICT


def added(file: str, text: str = "EDITED = 1\n") -> Callable[[Path], None]:
    """An edit that adds `text` to the end of a file, which may be a new one."""

    def edit(root: Path) -> None:
        with (root / file).open("a", encoding="utf-8") as stream:
            stream.write(text)

    return edit


def changed(file: str, pattern: str, by: str) -> Callable[[Path], None]:
    """An edit that replaces the first text that fits `pattern`."""

    def edit(root: Path) -> None:
        before = (root / file).read_text(encoding="utf-8")
        after = re.sub(pattern, by, before, count=1, flags=re.MULTILINE)
        assert after != before, f"nothing in {file} fits {pattern}"
        (root / file).write_text(after, encoding="utf-8")

    return edit


def a_new_reward(root: Path) -> None:
    """The reasoning reward a second time, under another name."""
    folder = root / "dipr1" / "rewards"
    text = (folder / "reasoning.py").read_text(encoding="utf-8")
    text = text.replace("reasoning_reward", "form_reward").replace("ReasoningReward", "FormReward")
    (folder / "form.py").write_text(text, encoding="utf-8")
    changed("dipr1/rewards/__init__.py", "^from dipr1", f"{FORM_IMPORT}\nfrom dipr1")(root)
    changed("dipr1/rewards/__init__.py", "^REWARDS = {", f"REWARDS = {{{FORM_ITEM}")(root)


FORM_IMPORT = "from dipr1.rewards.form import FormReward"
FORM_ITEM = "\n    'form': Reward(make=FormReward, weight=1.0, meaning='Is it in three steps?'),"

EDITS = {
    "nothing": (lambda _: None, set()),
    "the version": (changed("dipr1/__init__.py", "^__version__ = .*", "__version__ = '9'"), set()),
    "a docstring": (changed("dipr1/boxes.py", '"""', '"""Of boxes. '), set()),
    "a comment": (added("dipr1/boxes.py", "# boxes\n"), set()),
    "a new format": (added("dipr1/datasets/formats/new.py"), set()),
    "a format that is not used": (added("dipr1/datasets/formats/kitti.py"), set()),
    "how archives are unpacked": (added("dipr1/datasets/archives.py"), set()),
    "a colour of the scenes": (
        changed("dipr1/demo/drawing.py", r"near\(\(\d+, \d+, \d+\)", "near((1, 2, 3)"),
        EVERYTHING,
    ),
    "the format that is used": (added("dipr1/datasets/formats/coco.py"), EVERYTHING - {"download"}),
    "the kernel of variance": (added("dipr1/regions.py"), VARIANCE),
    "a constant of the audit": (
        changed("dipr1/auditing.py", "^MIN_SCORE = .*", "MIN_SCORE = 0.123"),
        {"audit", "report"},
    ),
    "the training of SFT": (added("dipr1/training/sft.py"), SFT),
    "the training of GRPO": (added("dipr1/training/grpo.py"), GRPO),
    "how views are merged": (added("dipr1/policies/looking_again.py"), LOOK),
    "a reward": (added("dipr1/rewards/looking.py"), GRPO | EVALUATE),
    "a new reward": (a_new_reward, EVALUATE),
    "a family of metrics": (
        changed(
            "dipr1/evaluation/jaccard.py", "^SCORE_THRESHOLDS = .*", "SCORE_THRESHOLDS = (0.5,)"
        ),
        EVALUATE,
    ),
    "how shards are joined": (added("dipr1/verbs/join.py"), set()),
    "a protocol": (added("dipr1/evaluation/protocols/uavdt_ap.py"), set()),
    "a column of the report": (
        changed("dipr1/artifacts/comparison.py", r'"p": pa', '"new": pa.string(), "p": pa'),
        {"report"},
    ),
    "the page's title": (
        changed("dipr1/report/page.py", "^TITLE = .*", "TITLE = 'Arms'"),
        {"report"},
    ),
    "the page's style": (added("dipr1/report/page.css", "a {}\n"), {"report"}),
}
OPTIONS = {
    "variance={v0: 0.02}": VARIANCE,
    "audit={rows: 10}": {"audit", "report"},
    "training={updates: 4}": SFT | GRPO,
    "training={sft_learning_rate: 2e-5}": SFT,
    "training={learning_rate: 2e-5}": GRPO,
    "training={group_size: 2}": GRPO,
    "training={crops: 1}": {"crop"} | SFT | GRPO,
    "crop={max_regions: 2}": set(),  # no arm is trained on crops
    "arms={dipr1: {looking_target: gain}}": {"crop", "sample", "join", "variance", "gain"} | GRPO,
    "arms={sft: {method: sft, max_grad_norm: 0.1}}": SFT,
    "arms={new: {method: sft}}": {"train new", "predict new", "evaluate new", "report"},
    "arms={dipr1: {look_again: {max_regions: 1}}}": LOOK,
    "arms={sft: {method: sft, look_again: {source: grid}}}": {
        "inspect sft+grid",
        "evaluate sft+grid",
        "report",
    },
    "report={num_images: 1}": {"report"},
    "policy={dtype: bfloat16}": SAMPLE | PREDICT,
}
# what a machine or its owner wants otherwise, and no result depends on
OF_MACHINE = [
    "training={threads: 1}",
    "training={processes: 2}",
    "training={processes: 2, nodes: 2, parallel: fsdp2}",
    "training={micro_batch_size: 8}",
    "training={gradient_checkpointing: true}",
    "training={save_every: 2}",
    "training={keep_checkpoints: true}",
    "training={report_to: []}",
    "training={show_every: 1}",
    "policy={engine_memory: 0.5}",
    "num_shards=3",
    "num_shards=1",
    "evaluation={num_shards: 3}",
]
COMMANDS = {
    "conda": ["--use-conda"],
    "cores": ["--cores", "1"],
    "threads": ["--set-threads", "train=1"],
    "memory": ["--default-resources", "mem_mb=1", "--set-resources", "train:gpu=1"],
    "cluster": ["--profile", str(ROOT / "workflow/profiles/slurm")],
}


def planned(
    planner: Planner, workflow: Workflow, finished: Path, *arguments: str, **options: str | Path
) -> set[str]:
    """The jobs that a run in `finished` would repeat: rules, with the arm where there is one."""
    output = planner.run(workflow.arguments(finished, "--summary", *arguments, **options))
    table = output[output.index("output_file\t") :].splitlines()
    rows = csv.DictReader(table, delimiter="\t")
    return {job(row) for row in rows if row["plan"] != "no update"}


def job(row: dict[str, str]) -> str:
    arm = re.match(r"results/\w+/(?:policies|predictions|metrics)/([\w+]+)/", row["output_file"])
    return f"{row['rule']} {arm[1]}" if arm else row["rule"]


@pytest.mark.parametrize(("edit", "jobs"), EDITS.values(), ids=EDITS)
def test_an_edit_of_the_code_repeats_what_it_can_change(
    planner, repository, undisturbed, edit, jobs
):
    edit(repository)
    assert planned(planner, Workflow(repository), undisturbed) == jobs


@pytest.mark.parametrize(("option", "jobs"), OPTIONS.items(), ids=OPTIONS)
def test_an_option_repeats_what_it_can_change(planner, workflow, undisturbed, option, jobs):
    assert planned(planner, workflow, undisturbed, "--config", option) == jobs


@pytest.mark.parametrize("option", OF_MACHINE)
def test_what_suits_a_machine_repeats_nothing(planner, workflow, undisturbed, option):
    assert planned(planner, workflow, undisturbed, "--config", option) == set()


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_how_snakemake_is_started_repeats_nothing(planner, workflow, undisturbed, arguments):
    assert planned(planner, workflow, undisturbed, *arguments) == set()


def test_results_that_were_moved_repeat_nothing(planner, workflow, undisturbed, tmp_path):
    moved = shutil.copytree(undisturbed, tmp_path / "moved")  # keeps the times
    assert planned(planner, workflow, moved) == set()


@pytest.mark.parametrize(("section", "jobs"), [("training", set()), ("arms", {"report"})])
def test_only_the_report_goes_by_the_order_of_the_arms(
    planner, workflow, undisturbed, tmp_path, section, jobs
):
    config = yaml.safe_load((workflow.root / SHORT).read_text())
    config[section] = dict(reversed(config[section].items()))
    file = tmp_path / Path(SHORT).name
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    assert planned(planner, workflow, undisturbed, configfile=file) == jobs


DATASET, SPLITS = "crowdscenes", ("train", "validation")


@pytest.fixture(scope="module")
def photographs(workflow, undisturbed, tmp_path_factory) -> tuple[Path, Path, str]:
    """A folder in which photographs were converted, with its configuration, and what it made."""
    folder = tmp_path_factory.mktemp("photographs")
    config = yaml.safe_load((workflow.root / SHORT).read_text())
    drawn = {s: (undisturbed / PLACES.path("download", DATASET, s)).parent for s in SPLITS}
    config["datasets"]["crowdscenes"] = {
        "format": "coco",
        "splits": {
            split: {
                "annotations": str(drawn[split] / "annotations.json"),
                "images": str(drawn[split] / "images"),
            }
            for split in SPLITS
        },
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    converted = Places(load(file)).path("prompts", "crowdscenes", "train")
    workflow.run(folder, converted, configfile=file)
    return folder, file, converted


@pytest.mark.parametrize(
    ("file", "jobs"),
    [
        ("dipr1/demo/drawing.py", set()),
        ("dipr1/datasets/formats/kitti.py", set()),
        ("dipr1/datasets/formats/coco.py", {"download", "convert"}),
    ],
)
def test_photographs_do_not_depend_on_how_scenes_are_drawn(
    planner, repository, photographs, file, jobs
):
    folder, config, converted = photographs
    added(file)(repository)
    assert planned(planner, Workflow(repository), folder, converted, configfile=config) == jobs


NOT_RUN = {"crop", "describe", "export", "gain", "pretrain", *WITHOUT_RULE}


def chosen(arguments: list[str]) -> dict[str, str]:
    """What a job imports by name, as its command line says."""
    if arguments[0] == "train":
        return {"method": arguments[arguments.index("--method") + 1]}
    if arguments[0] == "download":
        return {"maker": "demo.scenes"}
    return {"format": "coco"} if arguments[0] == "convert" else {}


def imported_by_statements(roots: list[str]) -> set[str]:
    """`roots`, all that they import by statements, however far, and the packages around that."""
    reached, waiting = set(), list(roots)
    while waiting:
        module = waiting.pop()
        if module not in reached and provenance._file(module) is not None:
            reached.add(module)
            waiting += [*provenance._imports(module), module.rpartition(".")[0]]
    return reached


def test_no_job_has_imported_by_name_what_its_digest_does_not_know(undisturbed):
    records = [json.loads(file.read_text()) for file in (undisturbed / "imported").iterdir()]
    assert {record["arguments"][0] for record in records} == set(VERBS) - NOT_RUN
    for record in records:
        verb = record["arguments"][0]
        known = modules_behind(verb, **chosen(record["arguments"]))
        imported = set(record["modules"])
        assert imported <= imported_by_statements(["dipr1.cli", *known]), verb
