"""What the rules ask of the experiment: which files there are and which flags each verb gets."""

import ast
import hashlib
import shlex
import sys
from functools import cache
from pathlib import Path

# a fresh clone plans its jobs without dipr1 being installed; the jobs themselves call `dipr1`
ROOT = Path(workflow.basedir)
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from dipr1.cli import VERBS
from dipr1.options import flags
from dipr1.config import check
from dipr1.errors import UserError


def read_experiment(config):
    """The checked configuration with its defaults filled in."""
    names = workflow.overwrite_configfiles or workflow.configfiles
    try:
        return check(config, ", ".join(str(name) for name in names) or "config")
    except UserError as error:
        # a WorkflowError would add two lines about this file to the one that says what to do
        sys.exit(str(error))


def runs():
    """(arm, seed) of every policy that is compared; an untrained arm is the same for all seeds."""
    return [
        (name, seed)
        for name, arm in experiment.arms.items()
        for seed in (experiment.seeds[:1] if arm.method == "none" else experiment.seeds)
    ]


def trained_runs():
    """(arm, seed) of the policies that a `train` job makes."""
    return [(arm, seed) for arm, seed in runs() if experiment.arms[arm].method != "none"]


def of_training_split(pattern):
    """`pattern` with the data set and split that is trained on."""
    return pattern.format(dataset=experiment.training.dataset, split=experiment.training.split)


def evaluation_sets():
    """(dataset, split) of everything that is evaluated on."""
    return [name.split(".", 1) for name in experiment.evaluation.sets]


def per_evaluation_set(pattern):
    """`pattern` for everything that is evaluated on."""
    return [pattern.format(dataset=dataset, split=split) for dataset, split in evaluation_sets()]


def of_every_split(pattern):
    """`pattern` for the split that is trained on, then for everything that is evaluated on."""
    return list(dict.fromkeys([of_training_split(pattern), *per_evaluation_set(pattern)]))


def per_run_and_set(pattern):
    """`pattern` for every policy on everything that is evaluated on."""
    return [
        pattern.format(arm=arm, seed=seed, dataset=dataset, split=split)
        for arm, seed in runs()
        for dataset, split in evaluation_sets()
    ]


def per_trained_run(pattern):
    """`pattern` for every policy that is trained."""
    return [pattern.format(arm=arm, seed=seed) for arm, seed in trained_runs()]


def split_options(wildcards):
    """The configuration of a split."""
    return experiment.datasets[wildcards.dataset].splits[wildcards.split]


def source_files(wildcards):
    """The files a split is read from; none where it is generated or fetched."""
    split = split_options(wildcards)
    if experiment.datasets[wildcards.dataset].format == "scenes" or split.source or split.url:
        return {}
    return {"annotations": split.annotations, "images": split.images}


def download_flags(wildcards):
    """The flags that say how a split is made or where it lies."""
    dataset, split = experiment.datasets[wildcards.dataset], split_options(wildcards)
    if dataset.format == "scenes":
        return f"--style {dataset.style} --num-images {split.num_images} --seed {split.seed}"
    if split.source:
        return f"--source {split.source}"
    words = ["--annotations", split.annotations, "--images", split.images]
    words += ["--url", split.url] if split.url else []
    return shlex.join(words + (["--sha256", split.sha256] if split.sha256 else []))


def download_minutes(wildcards):
    """How long a split may take: a fetched one is at the mercy of its server."""
    split = split_options(wildcards)
    return 720 if split.source or split.url else 60


def convert_flags(wildcards):
    """The flags that say which boxes of a data set are kept, and how."""
    dataset = experiment.datasets[wildcards.dataset]
    words = ["--labels", *dataset.labels]
    if dataset.ignore_labels:
        words += ["--ignore-labels", *dataset.ignore_labels]
    words += ["--box", dataset.box]
    words += ["--min-inside", str(dataset.min_inside), "--min-size", str(dataset.min_size)]
    return shlex.join(words + ["--strict"] * dataset.strict)


def base_policy():
    """The base MLLM's checkpoint as an input; the shipped one is followed by `policy_digest`."""
    model = experiment.policy.model
    return [] if model == "tiny" else [f"{model}/config.json"]


def policy_of(wildcards):
    """The checkpoint folder that answers for an arm: its trained one, or the base MLLM's."""
    if experiment.arms[wildcards.arm].method == "none":
        return base_policy()
    return [f"results/policies/{wildcards.arm}/seed{wildcards.seed}"]


def policy_name(wildcards, input):
    """What `dipr1 predict --policy` is given."""
    if experiment.arms[wildcards.arm].method == "none":
        return shlex.quote(experiment.policy.model)
    return input.policy


@cache
def policy_digest():
    """Content digest of the shipped policy, so that a new one is sampled and trained anew."""
    if experiment.policy.model != "tiny":
        return ""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "dipr1" / "demo" / "checkpoint").rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


# what these hold reaches a job through its flags; an edit here need not repeat the training
UNFOLLOWED = {"dipr1.cli", "dipr1.config", "dipr1.errors", "dipr1.options", "dipr1.progress"}


@cache
def code_digest(verb):
    """Digest of the code behind a verb: its module and all that it imports from dipr1.

    Comments, docstrings and layout do not count; editing them repeats nothing.
    """
    digest = hashlib.sha256()
    modules = sorted(imported_modules(f"dipr1.verbs.{verb}"))
    for module in modules:
        digest.update(module.encode() + normalised_code(module).encode())
    # the page's template, style and script lie beside its modules
    for folder in sorted({module_path(module).parent for module in modules}):
        for path in sorted(p for p in folder.iterdir() if p.suffix in (".j2", ".css", ".js")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def imported_modules(module):
    """Names of `module` and of every dipr1 module that it imports, however far."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in found or name in UNFOLLOWED or module_path(name) is None:
            continue
        found.add(name)
        for node in ast.walk(ast.parse(module_path(name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                # `from dipr1.x import y`: y may be a module too
                waiting += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def module_path(name):
    """The file of a dipr1 module; None where `name` is no module of ours."""
    if name.split(".")[0] != "dipr1":
        return None
    path = ROOT.joinpath(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def normalised_code(module):
    """The module's syntax tree as text, without its docstrings."""
    tree = ast.parse(module_path(module).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
