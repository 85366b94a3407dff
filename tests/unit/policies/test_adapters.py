"""Adapter folders: whose they are, and what they are as a whole."""

from __future__ import annotations

import json
import shutil

import pytest

from dipr1.artifacts.made import content_digest
from dipr1.errors import UserError
from dipr1.policies.adapters import base_of, is_adapter, weights_digest, write_base
from dipr1.policies.families import policy_folder, read_policy_frames, whole_folder
from dipr1.policies.load import load_policy


def make_adapter(folder, base: str, digest: str | None = None, **config) -> None:
    """An adapter's folder without an adapter, of a base that it names or whose digest it knows."""
    folder.mkdir()
    config = {"base_model_name_or_path": base} | config
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    if digest is not None:
        write_base(folder, base, digest)


def test_a_base_is_found_wherever_both_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_adapter(tmp_path / "a", "models/base", "0" * 64)
    assert json.loads((tmp_path / "a/base.json").read_text())["policy"] == "../models/base"
    assert base_of(tmp_path / "a") == (str(tmp_path / "models/base"), "0" * 64)
    make_adapter(tmp_path / "b", "tiny", "1" * 64)
    assert base_of(tmp_path / "b") == ("tiny", "1" * 64)


def test_adapters_of_other_tools_name_their_base(tmp_path):
    make_adapter(tmp_path / "a", "models/base")
    assert base_of(tmp_path / "a") == ("models/base", None)
    make_adapter(tmp_path / "b", "")
    with pytest.raises(UserError, match="b/adapter_config.json: does not name its base"):
        base_of(tmp_path / "b")


def test_the_frame_is_that_of_the_base(tmp_path, qwen):
    make_adapter(tmp_path / "a", "tiny")
    make_adapter(tmp_path / "b", str(tmp_path / "a"))
    assert is_adapter(tmp_path / "b") and not is_adapter(policy_folder("tiny"))
    assert read_policy_frames(str(tmp_path / "b")).fixed == (128, 128)
    assert whole_folder(str(tmp_path / "b")) == policy_folder("tiny")

    make_adapter(tmp_path / "c", str(qwen))
    frames = read_policy_frames(str(tmp_path / "c"))
    assert frames == read_policy_frames(str(qwen))
    processor = {"image_processor": {"size": {"shortest_edge": 3136, "longest_edge": 7840}}}
    (tmp_path / "c" / "processor_config.json").write_text(json.dumps(processor))
    assert read_policy_frames(str(tmp_path / "c")).max_pixels == 7840


def test_a_base_that_is_not_there_is_told(tmp_path):
    make_adapter(tmp_path / "a", str(tmp_path / "gone"))
    with pytest.raises(UserError, match="a: is an adapter of .*gone, where no checkpoint is; put"):
        read_policy_frames(str(tmp_path / "a"))


def test_a_base_with_other_weights_is_told(tmp_path, qwen):
    pytest.importorskip("peft")
    base = tmp_path / "base"
    shutil.copytree(qwen, base)
    before = weights_digest(base)
    make_adapter(tmp_path / "a", str(base), before)
    weights = base / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert weights_digest(base) != before
    with pytest.raises(UserError, match="a: is an adapter of .*base, whose weights are others now"):
        load_policy(str(tmp_path / "a"))


def test_an_adapter_of_another_model_is_told(tmp_path):
    pytest.importorskip("peft")
    make_adapter(tmp_path / "a", "tiny", peft_type="LORA", target_modules=["none"])
    with pytest.raises(UserError, match="a: is no adapter of its base"):
        load_policy(str(tmp_path / "a"))


def test_the_digest_of_an_adapter_is_of_what_lies_at_its_top(tmp_path):
    make_adapter(tmp_path / "a", "tiny")
    before = content_digest(tmp_path / "a")
    (tmp_path / "a" / "tensorboard").mkdir()
    (tmp_path / "a" / "tensorboard" / "events").write_text("today")
    assert content_digest(tmp_path / "a") == before
