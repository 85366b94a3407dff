"""The command line: what a configuration section spells, and which exit codes it ends with."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipr1.cli import VERBS, main
from dipr1.config import Variance
from dipr1.errors import UserError
from dipr1.options import (
    Section,
    add_options,
    add_union_options,
    flags,
    options,
    union_options,
)
from dipr1.policies.options import Sample
from dipr1.report.options import Report
from dipr1.training.options import GrpoArm, SftArm, TrainedArm, Training


def parsed(section_type: type[Section], words: list[str]):
    parser = argparse.ArgumentParser()
    add_options(parser, section_type)
    return options(parser.parse_args(words), section_type)


@pytest.mark.parametrize(
    "section",
    [
        Sample(),
        Sample(num_samples=3, temperature=0.5),
        Variance(v0=1e-7),
        Training(dataset="other", learning_rate=1e-5, freeze_vision=False),
        Training(ask="both", absent_labels=["traffic light", "cow"]),
        Report(num_images=0),
        SftArm(method="sft", sft_think="{count} people, 100 % sure"),
        GrpoArm(method="grpo", rewards={"looking": 0.5, "accuracy": 2}, aggregate="mean"),
    ],
    ids=lambda section: type(section).__name__,
)
def test_flags_are_read_back_as_the_section(section):
    assert parsed(type(section), shlex.split(flags(section))) == section


@given(
    rewards=st.fixed_dictionaries(
        {"accuracy": st.floats(0.001, 1e6)},
        optional={name: st.floats(0.001, 1e6) for name in ("reasoning", "looking")},
    ),
    weight=st.floats(0, 1e9),
)
def test_flags_keep_every_digit(rewards, weight):
    arm = GrpoArm(method="grpo", rewards=rewards, uncertainty_weight=weight)
    assert parsed(GrpoArm, shlex.split(flags(arm))) == arm


def test_no_flags_are_the_defaults():
    assert parsed(Sample, []) == Sample()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--v0", "0"], "--v0: found '0'; "),
        (["--match-iou", "x"], "--match-iou: found 'x'; "),
    ],
)
def test_a_flag_out_of_bounds_is_the_users_mistake(words, message):
    with pytest.raises(UserError) as raised:
        parsed(Variance, words)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_a_flag_that_should_be_json():
    with pytest.raises(UserError, match="--rewards: not JSON"):
        parsed(GrpoArm, ["--method", "grpo", "--rewards", "{looking: 1}"])


def trained(*words: str):
    parser = argparse.ArgumentParser()
    add_union_options(parser, TrainedArm)
    return union_options(parser.parse_args(["--method", *words]), TrainedArm)


def test_the_chosen_member_of_a_union_has_its_own_flags():
    assert trained("sft", "--updates", "3") == SftArm(method="sft", updates=3)
    arm = GrpoArm(method="grpo", rewards={"looking": 1}, looking_source="group")
    assert trained("grpo", "--rewards", '{"looking": 1}', "--looking-source", "group") == arm


def test_a_flag_of_another_member_of_a_union():
    with pytest.raises(UserError) as raised:
        trained("sft", "--updates", "3", "--group-size", "4")
    message = str(raised.value)
    assert message.startswith(
        "--group-size: not an option of --method sft; it has --wordings, --ask,"
    )
    assert "sft-think" in message and "group-size" not in message.removeprefix("--group-size")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0
    assert f"dipr1 {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "verb", ["download", "convert", "describe", "export", "variance", "evaluate", "report"]
)
def test_only_the_policys_verbs_import_torch(verb):
    # in a process of its own: another test may have imported torch into this one
    code = (
        "import sys; from dipr1.cli import parser_for;"
        f"parser_for({verb!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_wrong_usage_exits_with_2(capsys):
    with pytest.raises(SystemExit) as left:
        main(["fly"])
    assert left.value.code == 2
    assert "invalid choice: 'fly'" in capsys.readouterr().err


def test_a_users_mistake_exits_with_1_and_one_line(tmp_path, capsys):
    absent = tmp_path / "absent.parquet"
    code = main(
        ["variance", str(absent), "--annotations", str(absent), "--output", str(tmp_path / "o")]
    )
    error = capsys.readouterr().err
    assert code == 1
    assert error.startswith("dipr1 variance: ")
    assert str(absent) in error
    assert error.count("\n") == 1


def test_the_installed_command_says_its_version():
    from dipr1 import __version__

    done = subprocess.run(
        [sys.executable, "-m", "dipr1.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"dipr1 {__version__}\n"
