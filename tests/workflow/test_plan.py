"""Planning the jobs: it needs no torch and no data, and a wrong configuration stops it at once."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from dipr1.config import Config, load
from dipr1.training.options import needs_gain
from tests.workflow.conftest import NO_TORCH, jobs


def expected_jobs(experiment: Config) -> dict[str, int]:
    """Jobs by rule, counted by hand from the experiment."""
    sets = experiment.evaluation.sets
    trained_on = f"{experiment.training.dataset}.{experiment.training.split}"
    splits = {*sets, trained_on, *experiment.audit.corrected}
    untrained = sum(arm.method == "none" for arm in experiment.arms.values())
    seeds = {
        name: 1 if arm.method == "none" else len(arm.seeds or experiment.seeds)
        for name, arm in experiment.arms.items()
    }
    trained = sum(seeds.values()) - untrained
    looks = sum(len(arm.look_again) * seeds[name] for name, arm in experiment.arms.items())
    crops = any(map(needs_gain, experiment.arms.values()))  # are a split that is sampled
    counts = {
        "download": len(splits),
        "convert": len(splits),
        "crop": int(crops),
        "sample": (len(splits) + crops) * experiment.num_shards,
        "join": (len(splits) + crops) * (experiment.num_shards > 1),
        "variance": len(splits) + crops,
        "gain": int(crops),
        "audit": len(splits),
        "train": trained,
        "predict": (trained + untrained) * len(sets),
        "inspect": looks * len(sets),
        "evaluate": (trained + untrained + looks) * len(sets),
        "report": 1,
        "all": 1,
    }
    counts = {rule: count for rule, count in counts.items() if count}
    return counts | {"total": sum(counts.values())}


def test_planning_needs_neither_torch_nor_data(workflow, tmp_path, root):
    environment = workflow.started_with(NO_TORCH, tmp_path)
    output = workflow.run(tmp_path, "--dry-run", configfile="config.yaml", environment=environment)
    assert jobs(output) == expected_jobs(load(root / "config.yaml"))
    assert not (tmp_path / "results").exists()


def test_an_untrained_arm_runs_once_whatever_the_seeds(workflow, tmp_path):
    planned = jobs(workflow.run(tmp_path, "--dry-run", "--config", "seeds=[3,4,5]"))
    assert planned["train"] == 2 * 3
    assert planned["predict"] == 2 * 3 + 1
    assert planned["inspect"] == 3
    assert planned["evaluate"] == 2 * 3 + 1 + 3


def test_an_arm_may_have_seeds_of_its_own(workflow, tmp_path):
    arms = "arms={sft: {seeds: [7]}}"
    planned = jobs(workflow.run(tmp_path, "--dry-run", "--config", "seeds=[3,4,5]", arms))
    assert planned["train"] == 1 + 3


def test_only_an_arm_that_looks_for_gain_has_crops_sampled(workflow, tmp_path, root):
    experiment = load(root / "workflow" / "configs" / "test.yaml")
    gain = "{method: grpo, rewards: {looking: 1}, looking_target: gain}"
    planned = jobs(workflow.run(tmp_path, "--dry-run", "--config", f"arms={{dipr1: {gain}}}"))
    plain = expected_jobs(experiment)
    added = {rule: count - plain.get(rule, 0) for rule, count in planned.items()}
    del added["total"]
    crops = {"crop": 1, "sample": experiment.num_shards, "join": 1, "variance": 1, "gain": 1}
    assert added == dict.fromkeys(plain.keys() - {"total"}, 0) | crops


def test_an_arm_may_begin_with_the_policy_of_another(workflow, tmp_path):
    words = ("--dry-run", "--printshellcmds", "results/test/policies/dipr1/seed0")
    output = workflow.run(tmp_path, *words, "--config", "arms={dipr1: {start: sft}}")
    assert jobs(output)["train"] == 2
    [command] = re.findall(r"dipr1 train --arm dipr1 .*", output)
    assert "--policy results/test/policies/sft/seed0 " in command
    plain = workflow.run(tmp_path, *words)
    assert jobs(plain)["train"] == 1
    assert "--policy tiny " in plain


def test_several_processes_are_started_by_the_rule(workflow, tmp_path):
    words = ("--dry-run", "--printshellcmds", "results/test/policies/sft/seed0", "--config")
    one = workflow.run(tmp_path, *words, "seeds=[0]")
    assert "exec dipr1 train --arm sft" in one
    several = workflow.run(tmp_path, *words, "training={processes: 2, nodes: 3, parallel: fsdp2}")
    tasks = "--nodes 3 --ntasks 3 --ntasks-per-node 1 --cpus-per-task $SLURM_CPUS_PER_TASK"
    begin = f"exec srun --overlap {tasks} dipr1 train"
    assert f"{begin} --processes 2 --nodes 3 --parallel fsdp2 --arm sft" in " ".join(
        several.split()
    )


def test_a_configuration_given_stands_for_config_yaml(workflow, tmp_path, root):
    # snakemake would merge the two: the arms of both, the data of both
    (tmp_path / "config.yaml").write_text((root / "config.yaml").read_text())
    output = workflow.run(tmp_path, "--dry-run")
    assert "crowdscenes_ood" not in output


def test_data_that_are_not_there_are_named(workflow, tmp_path):
    done = workflow.try_run(tmp_path, "--dry-run", configfile="workflow/configs/real.yaml")
    assert done.returncode == 1
    assert "Missing input files for rule download" in done.stdout
    assert "data/coco/instances.json" in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trainin": {}}, "unknown key 'trainin'; did you mean 'training'? allowed here: arms, "),
        ({"num_shards": 0}, "num_shards: found 0; input should be greater than or equal to 1"),
        ({"evaluation": {"sets": ["nowhere.test"]}}, "evaluation.sets: no data set 'nowhere.test'"),
    ],
)
def test_a_wrong_configuration_is_one_line(workflow, tmp_path, root, change, message):
    values = yaml.safe_load((root / "workflow" / "configs" / "test.yaml").read_text()) | change
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump(values))
    done = workflow.try_run(tmp_path, "--dry-run", configfile=file)
    assert done.returncode == 1
    about = [line for line in done.stdout.splitlines() if message in line]
    assert len(about) == 1
    assert about[0].startswith(f"{file}: ")
    assert "Traceback" not in done.stdout
    assert "Snakefile" not in done.stdout


@pytest.mark.parametrize("configfile", ["paper", "test", "claim"])
def test_the_other_experiments_plan(workflow, tmp_path, root, configfile):
    file = root / f"workflow/configs/{configfile}.yaml"
    output = workflow.run(tmp_path, "--dry-run", configfile=file)
    assert jobs(output) == expected_jobs(load(file))


def test_the_core_of_the_claim_plans_as_the_documentation_writes_it(workflow, tmp_path, root):
    text = (root / "docs/experiments.md").read_text(encoding="utf-8")
    # right after --configfile they would be taken for more of these
    [targets] = re.findall(r"--cores 2 \\\n +(results/claim/metrics/\S+)$", text, re.MULTILINE)
    expanded = subprocess.run(
        ["bash", "-c", f"echo {targets}"], capture_output=True, text=True, check=True
    ).stdout.split()
    file = root / "workflow/configs/claim.yaml"
    planned = jobs(workflow.run(tmp_path, "--dry-run", *expanded, configfile=file))
    assert planned["train"] == 4 * 3
    assert planned["evaluate"] == len(expanded) == 7 + 3 * (2 + 1 + 2 + 7)
    assert planned["download"] == 2
    assert "report" not in planned


def test_a_plan_of_the_cluster_profile(workflow, tmp_path, root):
    done = workflow.try_run(
        tmp_path, "--dry-run", "--profile", str(root / "workflow" / "profiles" / "slurm")
    )
    assert done.returncode == 0, done.stdout
    assert jobs(done.stdout)["train"] == 2


def test_a_file_name_with_an_unknown_arm_has_no_rule(workflow, tmp_path):
    done = workflow.try_run(tmp_path, "--dry-run", "results/test/policies/dipr2/seed0")
    assert done.returncode == 1
    assert "MissingRuleException" in done.stdout
