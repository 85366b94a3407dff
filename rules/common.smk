"""What the rules ask of the experiment: which files there are and which flags each verb gets."""

import glob
import os
import re
import shlex
import signal
import sys
from pathlib import Path

import psutil
from snakemake.io import IOFile
from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod

# this clone's, installed or not, and also where another workflow uses this one as a module
ROOT = Path(str(workflow.current_basedir)).parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

# The jobs call the `dipr1` of this clone, by the Python that runs here or, where none is named, by
# that of the rule's environment. No path is in their commands: a clone that moves repeats no job.
WITH_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
os.environ.update(
    PATH=os.pathsep.join([str(ROOT / "workflow" / "bin"), *os.get_exec_path()]),
    DIPR1_PYTHON="" if WITH_CONDA else sys.executable,
)

from dipr1.options import flags, without
from dipr1.config import check, machine_flags, train_flags
from dipr1.datasets.options import code_of_download, Conversion, Draw, Files, Style
from dipr1.errors import UserError
from dipr1.places import CROPS, Places
from dipr1.provenance import code_digest, policy_digest
from dipr1.resuming import clear
from dipr1.policies.engines import code_of_engine
from dipr1.policies.options import (
    Answering,
    Asked,
    Checkpoint,
    Engine,
    Generation,
    LookAgain,
    Policy,
)
from dipr1.training.options import Spread, by_vllm, code_of_training, needs_gain


def hand_on(number, frame):
    """Send the job that runs here the signal that we were sent."""
    for child in psutil.Process().children():
        child.send_signal(number)


# SLURM tells only the process that it started, which is this one, that the time is nearly up
if "SLURM_JOB_ID" in os.environ:
    signal.signal(signal.SIGUSR1, hand_on)


def read_experiment(config):
    """The checked configuration with its defaults filled in."""
    names = workflow.overwrite_configfiles or workflow.configfiles
    try:
        return check(config, ", ".join(str(name) for name in names) or "config")
    except UserError as error:
        # a WorkflowError would add two lines about this file to the one that says what to do
        sys.exit(str(error))


def refuse_former_paths():
    """Say where a target lies now that earlier versions had elsewhere."""
    for word in sys.argv[1:]:  # Snakemake does not tell the targets before the rules are read
        if now := places.renamed(word):
            sys.exit(f"{word}: results lie under the names of experiments now; ask for {now}")


def of_split(kind):
    """Where a split's results of a kind lie that experiments may share, as an input."""
    return lambda wildcards: places.path(kind, wildcards.dataset, wildcards.split)


def crops_of_split(kind):
    """As :func:`of_split`, of the split's crops."""
    return lambda wildcards: places.path(kind, wildcards.dataset, wildcards.split + CROPS)


def in_shards(pattern):
    """Where a shard lies of what `pattern` names in whole; `{shard}` is empty for all in one."""
    return pattern.replace(".parquet", "{shard}.parquet")


def shard_flag(wildcards):
    """The flag that says which shard a job makes."""
    place, _, number = wildcards.shard.removeprefix(".").partition("of")
    return f"--shard {place}/{number}" if number else ""


def shards_of(wildcards):
    """What is joined into some samples, or answers: their shards.

    They themselves where they are made in one: Snakemake takes no rule that asks for what it makes.
    """
    whole = f"{wildcards.answers}.parquet"
    number = num_shards_of(whole)
    shards = [""] if number == 1 else [f".{place}of{number}" for place in range(number)]
    return expand(in_shards(whole), shard=shards)


def num_shards_of(whole):
    """In how many shards some samples, or answers, are made.

    No answer depends on it, so shards that are there are completed, and what was made is not made
    in another number; the configuration says it for all else.
    """
    made_of = glob.glob(in_shards(whole).format(shard=".*of*"))
    if not made_of and os.path.exists(whole):
        made_of = workflow.persistence.input(IOFile(whole, None)) or []
    numbers = [int(name[1]) if (name := NAME_OF_SHARD.search(path)) else 1 for path in made_of]
    of_samples = whole.startswith(f"{places.shared}/samples/")
    asked = experiment.num_shards if of_samples else experiment.evaluation.num_shards
    return max(numbers, default=asked)


NAME_OF_SHARD = re.compile(r"\.\d+of(\d+)\.parquet$")


def checkpoints(pattern):
    """Where a job's finished parts lie, outside the outputs that Snakemake deletes."""
    return f"{places.own}/checkpoints/{pattern}"


def clear_work_of(job):
    """Remove the result of a job that was kept in case Snakemake would not see the job end."""
    work = job.params.get("parts") or job.params.get("checkpoints")
    if work and all(map(was_made, job.output)):
        clear(Path(work))


def runs():
    """(arm, seed) of every policy that is compared."""
    return [(name, seed) for name in experiment.arms for seed in experiment.seeds_of(name)]


def looks_again():
    """By its name, `ARM+LOOK`, each way in which an arm's answers are looked at again."""
    return {
        f"{name}+{look.name}": look
        for name, arm in experiment.arms.items()
        for look in arm.look_again
    }


def compared_runs():
    """(arm, seed) of everything that is compared: each arm in one view, and looking again."""
    return [
        (name, seed)
        for arm, seed in runs()
        for name in [arm, *(f"{arm}+{look.name}" for look in experiment.arms[arm].look_again)]
    ]


def trained_runs():
    """(arm, seed) of the policies that a `train` job makes."""
    return [(arm, seed) for arm, seed in runs() if experiment.arms[arm].method != "none"]


def training_set():
    """(dataset, split) of what is trained on."""
    return experiment.training.dataset, experiment.training.split


def evaluation_sets():
    """(dataset, split) of everything that is evaluated on."""
    return [tuple(name.split(".", 1)) for name in experiment.evaluation.sets]


def every_set():
    """(dataset, split) of what is trained on, evaluated on and, last, only searched for errors."""
    audited = [tuple(name.split(".", 1)) for name in experiment.audit.corrected]
    return list(dict.fromkeys([training_set(), *evaluation_sets(), *audited]))


def corrected_labels(wildcards):
    """The annotations that somebody has corrected, of those that are searched for errors."""
    right = experiment.audit.corrected.get(f"{wildcards.dataset}.{wildcards.split}")
    return [places.path("annotations", *right.split(".", 1))] if right else []


def of_sets(kind, sets):
    """Where the results of a kind of each (dataset, split) lie that experiments may share."""
    return [places.path(kind, *one) for one in sets]


def per_run_and_set(pattern):
    """`pattern` for everything that is compared on everything that is evaluated on."""
    return [
        pattern.format(arm=arm, seed=seed, dataset=dataset, split=split)
        for arm, seed in compared_runs()
        for dataset, split in evaluation_sets()
    ]


def per_trained_run(pattern):
    """`pattern` for every policy that is trained."""
    return [pattern.format(arm=arm, seed=seed) for arm, seed in trained_runs()]


def stages():
    """All that a user keeps of an experiment, in the order in which it is made."""
    sets, trained, own = (
        every_set(),
        [experiment.arms[arm] for arm, _ in trained_runs()],
        places.own,
    )
    gains = any(map(needs_gain, trained))
    dataset, split = training_set()
    crops = [(dataset, split + CROPS)] if gains or any(arm.crops for arm in trained) else []
    predictions = per_run_and_set(
        f"{own}/predictions/{{arm}}/seed{{seed}}/{{dataset}}.{{split}}.parquet"
    )
    metrics = f"{own}/metrics/{{arm}}/seed{{seed}}/{{dataset}}.{{split}}"
    return [
        of_sets("download", sets),
        [path for kind in ("annotations", "rejects", "prompts") for path in of_sets(kind, sets)],
        of_sets("samples", sets),
        of_sets("variance", sets),
        [path for kind in ("annotations", "prompts") for path in of_sets(kind, crops)],
        of_sets("samples", crops if gains else []),
        of_sets("variance", crops if gains else []),
        of_sets("gain", [training_set()] if gains else []),
        expand(f"{own}/audit/{{set}}{{end}}", set=map("/".join, sets), end=MEASURED),
        per_trained_run(f"{own}/policies/{{arm}}/seed{{seed}}"),
        [path for path in predictions if "+" not in path],
        [path for path in predictions if "+" in path],
        [path for end in MEASURED for path in per_run_and_set(metrics + end)],
        list(rules.report.output),
    ]


MEASURED = (".parquet", ".images.parquet")


def wanted(wildcards):
    """What a plain run makes: all that a user keeps.

    Where all of it was made and some was deleted, only the earliest of that: Snakemake would repeat
    what follows before it could see that nothing has changed.
    """
    every = stages()
    lost = [[path for path in stage if not os.path.exists(path)] for stage in every]
    missing = sum(lost, [])
    if not missing or lost[-1] or unfinished().exists() or not all(map(was_made, missing)):
        return sum(every, [])
    again = []
    for stage, gone in zip(every, lost):
        again += gone
        if again and len(gone) < len(stage):
            break  # later ones may be made of what is there, and of what is made again
    logger.warning(
        f"Making {len(again)} of {len(missing)} deleted files again, and nothing after them;"
        " run again for all else."
    )
    return again


def was_made(path):
    """Whether a file is of an earlier run."""
    return workflow.persistence.metadata(IOFile(path, None)) is not None


def unfinished():
    """A file that is there from the beginning of a plain run until one has succeeded."""
    return Path(places.own, ".unfinished")


def is_plain():
    """Whether all that a user keeps is asked for."""
    return not workflow.dag_settings.targets


def split_options(wildcards):
    """The configuration of a split."""
    return experiment.datasets[wildcards.dataset].splits[wildcards.split]


def source_files(wildcards):
    """The files a split is read from; none where it is generated or fetched."""
    split = split_options(wildcards)
    if format_of(wildcards) == "scenes" or split.source or split.url:
        return {}
    return {"annotations": split.annotations, "images": split.images}


def download_flags(wildcards):
    """The flags that say how a split is made or where it lies."""
    dataset, split = experiment.datasets[wildcards.dataset], split_options(wildcards)
    if dataset.format == "scenes":
        return f"{flags(dataset, Style)} {flags(split, Draw)}"
    return flags(split, Files)


def download_minutes(wildcards):
    """How long a split may take: a fetched one is at the mercy of its server."""
    split = split_options(wildcards)
    return 720 if split.source or split.url else 60


def format_of(wildcards):
    """The format of a data set, or `scenes`."""
    return experiment.datasets[wildcards.dataset].format


def annotation_format(wildcards):
    """What `dipr1 convert` reads; scenes come with COCO annotations."""
    return "coco" if format_of(wildcards) == "scenes" else format_of(wildcards)


def convert_flags(wildcards):
    """The flags that say which boxes of a data set are kept, and how."""
    return flags(experiment.datasets[wildcards.dataset], Conversion)


def corrections(wildcards):
    """What somebody has corrected in the labels of a split, if anything."""
    path = split_options(wildcards).corrections
    return [path] if path else []


def base_policy():
    """The base MLLM's checkpoint as an input; that of `tiny` counts by its `policy_digest`."""
    model = experiment.policy.model
    if model == "tiny":
        return []
    adapter = f"{model}/adapter_config.json"
    return [adapter if Path(adapter).is_file() else f"{model}/config.json"]


def policy_of(wildcards):
    """The checkpoint folder that answers for an arm: its trained one, or the base MLLM's."""
    if experiment.arms[wildcards.arm].method == "none":
        return base_policy()
    return ancient([trained(wildcards.arm, wildcards.seed)])


def trained(arm, seed):
    """The folder of a trained policy.

    What reads it is repeated for its `.sha256` beside it: Snakemake knows a folder by its time alone.
    """
    return f"{places.own}/policies/{arm}/seed{seed}"


def sums_of(wildcards):
    """The checksums of the policy that answers for an arm, where it is a trained one."""
    none = experiment.arms[wildcards.arm].method == "none"
    return [] if none else [trained(wildcards.arm, wildcards.seed) + ".sha256"]


def start_of(wildcards):
    """The checkpoint folder that an arm's training begins with."""
    start = experiment.arms[wildcards.arm].start
    return ancient([trained(start, wildcards.seed)]) if start else base_policy()


def sums_of_start(wildcards):
    """The checksums of the policy that an arm's training begins with, where it is a trained one."""
    start = experiment.arms[wildcards.arm].start
    return [trained(start, wildcards.seed) + ".sha256"] if start else []


def start_where(wildcards, input):
    """The flags that say where the policy lies that an arm's training begins with."""
    start = experiment.arms[wildcards.arm].start
    return where_flags(str(input.policy) if start else experiment.policy.model, Policy)


def train_command(training):
    """The beginning of the command that trains; on several nodes, each begins its processes."""
    if training.processes * training.nodes == 1:
        return "dipr1 train"
    command = f"dipr1 train {flags(training, Spread)}"
    if training.nodes == 1:
        return command
    # tasks and CPUs, too: without them they are those of any step, 1
    tasks = f"--nodes {training.nodes} --ntasks {training.nodes} --ntasks-per-node 1"
    tasks += " --cpus-per-task $SLURM_CPUS_PER_TASK"
    return f"srun --overlap {tasks} {command}"


def gpus_of_training(training):
    """The GPUs that a training asks for: in all, or those of each of several nodes.

    A SLURM job begins with a step on one node, which may not ask for the GPUs of others, as it
    would with their number in all.
    """
    if training.nodes == 1:
        return {"gpu": training.processes}
    return {"gpu": 0, "gres": f"gpu:{training.processes}"}


def crops_of(wildcards):
    """The crops that an arm is trained on besides, if any."""
    dataset, split = training_set()
    wanted = experiment.arms[wildcards.arm].crops
    return places.path("prompts", dataset, split + CROPS) if wanted else []


def variance_for(wildcards):
    """The statistics that an arm is trained with; they have gains where it looks for these."""
    kind = "gain" if needs_gain(experiment.arms[wildcards.arm]) else "variance"
    return places.path(kind, *training_set())


# `train.crops`: the crops of `train`, sampled and measured as a split of their own
SPLIT_OR_CROPS = r"[A-Za-z0-9_]+(\.crops)?"


def images_of(wildcards):
    """The images of a split, or those that its crops are of."""
    return places.path("download", wildcards.dataset, wildcards.split.removesuffix(CROPS))


# The policy counts by its files, which are inputs, or by its `policy_digest`; where it lies and what
# its engine takes of a machine change nothing.
WHERE = {"model"} | Engine.of_machine


def policy_flags(section):
    """The flags that say how the policy sees and answers, as far as `section` has them."""
    return flags(without(experiment.policy, WHERE), section)


def where_flags(model, section):
    """The flags that say where the policy lies and what it may take of the machine."""
    policy = experiment.policy.model_copy(update={"model": model})
    return flags(without(policy, {*section.flagged()} - WHERE), section)


def answering():
    """The section that says which policy answers and by what, where that is not transformers."""
    return Checkpoint if experiment.policy.engine == "transformers" else Answering


def answering_where(wildcards, input):
    """The flags that say where the policy lies that answers for an arm."""
    trained = experiment.arms[wildcards.arm].method != "none"
    return where_flags(str(input.policy) if trained else experiment.policy.model, answering())


def unfollowed(value_of):
    """A parameter for which no job is repeated: Snakemake records none that is made of resources."""
    return lambda wildcards, resources: value_of(wildcards)


def training_environment():
    """The environment of training; that of vLLM has all that is in the other."""
    vllm = any(by_vllm(arm) for arm in experiment.arms.values())
    return f"../envs/{'vllm' if vllm else 'train'}.yaml"


def answering_environment():
    """The environment of what answers, as a rule in `rules/` names it."""
    return f"../envs/{'train' if experiment.policy.engine == 'transformers' else 'vllm'}.yaml"
