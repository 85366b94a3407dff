"""Sections as flags: what is spelled is read back, and a wrong value is one line with its flag."""

from __future__ import annotations

import argparse
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from dipr1.config import Variance
from dipr1.errors import UserError
from dipr1.options import Section, add_options, add_union_options, flags, options, union_options
from dipr1.policies.options import Generation, Policy, Sample
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
        Policy(model="a folder/with $signs", dtype="bfloat16"),
        Report(num_images=0),
        SftArm(method="sft", sft_think="{count} people, 100 % sure"),
        GrpoArm(method="grpo", rewards={"looking": 0.5, "accuracy": 2}, aggregate="mean"),
        GrpoArm(method="grpo", rewards={"accuracy": 2}, match_ious=[0.5, 0.6, 0.75]),
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


def test_some_fields_of_a_section_are_those_of_the_one_it_inherits_from():
    sampling = Sample(num_samples=3, temperature=0.5, batch_size=7)
    assert parsed(Generation, shlex.split(flags(sampling, Generation))) == Generation(batch_size=7)


def test_a_flag_may_have_another_name_than_its_field():
    assert flags(Policy(model="x")) == "--policy x --dtype float32"
    with pytest.raises(UserError, match="^--policy: found"):
        parsed(Short, ["--policy", "toolong"])


class Short(Section):
    """A section for the tests."""

    flag_names = {"model": "policy"}

    model: str = Field("tiny", max_length=4, description="IoU of 50 % at least.")
    names: list[str] = Field(["a"], description="Some names.")
    sure: bool = Field(True, description="Whether it is sure.")


def test_an_empty_list_is_not_the_default():
    assert parsed(Short, shlex.split(flags(Short(names=[])))).names == []


def test_the_help_has_the_style_of_other_flags(capsys):
    with pytest.raises(SystemExit):
        parsed(Short, ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--policy POLICY IoU of 50 % at least (default tiny)" in text
    assert "some names (default a)" in text
    assert "whether it is sure (default true)" in text
