"""Artifacts say what they are and what they were made from, in the same bytes wherever they lie."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dipr1.artifacts.made import (
    LARGE,
    Input,
    Made,
    content_digest,
    input_of,
    made_by,
    policy_sums,
    read_made,
    write_made,
)
from dipr1.artifacts.metrics import METRICS
from dipr1.artifacts.writing import is_ours
from dipr1.errors import UserError
from dipr1.policies.families import policy_input
from dipr1.provenance import code_digest, file_digest, options_digest

ROWS = pa.table({"name": ["AP"], "value": [0.5], "score": ["order"]})
ABOUT = Made(dataset="street", split="train", arm="sft", seed=3)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def policy(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_file_says_what_it_was_made_from(here):
    METRICS.write(ROWS, "in/a.parquet", ABOUT)
    (here / "raw.txt").write_text("x")
    made = made_by("export", {"b": 1, "a": [None]}, ["in/a.parquet", None, "raw.txt"], arm="base")
    METRICS.write(ROWS, "out/deep/b.parquet", made)
    assert read_made("out/deep/b.parquet") == Made(
        artifact="metrics",
        version=1,
        verb="export",
        code=code_digest("export"),
        options={"a": [None], "b": 1},
        configuration=options_digest({"a": [None], "b": 1}),
        dataset="street",
        split="train",
        arm="base",
        inputs=(
            Input("in/a.parquet", file_digest("in/a.parquet"), "metrics"),
            Input("raw.txt", file_digest("raw.txt")),
        ),
    )


def test_the_record_is_json_that_any_tool_reads(here):
    METRICS.write(
        ROWS, "a.parquet", replace(ABOUT, inputs=[Input("../b", "0"), Input("tiny", "1")])
    )
    text = pl.read_parquet_metadata("a.parquet")["dipr1"]
    assert text == (
        '{"arm":"sft","artifact":"metrics","dataset":"street","inputs":[{"path":"../b","sha256":"0"'
        '},{"path":"tiny","sha256":"1"}],"seed":3,"split":"train","version":1}'
    )
    assert METRICS.read("a.parquet").equals(ROWS.cast(METRICS.schema))
    assert pl.read_parquet("a.parquet").height == 1


def test_the_bytes_do_not_depend_on_where_the_tree_lies_or_on_the_working_directory(
    tmp_path, monkeypatch
):
    written = []
    for root, working in [("one", "one"), ("two/deeper", "two"), ("three", ".")]:
        folder = tmp_path / root
        METRICS.write(ROWS, folder / "in.parquet", ABOUT)
        monkeypatch.chdir(tmp_path / working)
        inputs = [folder.relative_to(tmp_path / working) / "in.parquet", policy_input("tiny")]
        METRICS.write(ROWS, folder / "out/m.parquet", made_by("export", {}, inputs))
        written.append((folder / "out/m.parquet").read_bytes())
    assert written[0] == written[1] == written[2]


def test_a_file_without_a_record_says_nothing_but_reads(here):
    pq.write_table(ROWS.cast(METRICS.schema), "a.parquet")
    Path("raw.txt").write_text("no Parquet")
    assert METRICS.read("a.parquet").num_rows == 1
    assert read_made("a.parquet") == read_made("raw.txt") == read_made(here) == Made()


def test_what_is_needed_and_not_known_is_one_line(here):
    METRICS.write(ROWS, "a.parquet", replace(ABOUT, seed=0, arm=None))
    assert read_made("a.parquet", "seed", "split").seed == 0
    with pytest.raises(UserError, match=r"^a\.parquet: does not say its arm; make it again"):
        read_made("a.parquet", "seed", "arm")
    with pytest.raises(UserError, match="^absent: no such file$"):
        read_made("absent")


@pytest.mark.parametrize("text", ["{", "[]", '{"colour": 1}', '{"inputs": [{}]}', '{"inputs": 3}'])
def test_a_damaged_record_is_one_line(here, text):
    (here / "dipr1.json").write_text(text)
    with pytest.raises(UserError, match="is damaged; make it again$"):
        read_made(here)


def test_a_folder_says_what_it_is_in_a_file(here):
    folder = policy(here / "policies/sft")
    write_made(folder, "policy", replace(ABOUT, inputs=[Input("prompts.parquet", "0")]))
    record = json.loads((folder / "dipr1.json").read_text())
    assert record["inputs"] == [{"path": "../../prompts.parquet", "sha256": "0"}]
    assert read_made("policies/sft") == replace(
        ABOUT, artifact="policy", version=1, inputs=(Input("prompts.parquet", "0"),)
    )


def test_inputs_of_different_splits_do_not_mix(here):
    METRICS.write(ROWS, "a.parquet", ABOUT)
    METRICS.write(ROWS, "b.parquet", replace(ABOUT, split="test"))
    METRICS.write(ROWS, "c.parquet")
    with pytest.raises(
        UserError, match=r"^b\.parquet: is of split 'test' but a\.parquet is of 'tr"
    ):
        made_by("export", {}, ["c.parquet", "a.parquet", "b.parquet"])
    assert made_by("export", {}, ["c.parquet", "a.parquet"]).split == "train"
    assert made_by("export", {}, ["a.parquet"], split="all").split == "all"
    assert made_by("export", {}, ["c.parquet"]).split is None
    both = made_by("export", {}, [input_of("a.parquet"), input_of("b.parquet")])
    assert (both.split, len(both.inputs)) == (None, 2)


def test_a_download_counts_by_what_it_notes(here):
    (here / "source.json").write_text("{}")
    before = content_digest(here)
    (here / "image.jpg").write_text("x")
    assert content_digest(here) == before
    (here / "source.json").write_text("{ }")
    assert content_digest(here) != before


def test_a_policy_counts_by_its_files(here):
    folder = policy(here / "policy")
    digests = [policy_input("policy").sha256]
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events").write_text("today")
    (folder / ".snakemake_timestamp").touch()
    assert content_digest(folder) == digests[0]
    for file, text in [("config.json", "{ }"), ("model.safetensors", "weightS"), ("new", "")]:
        (folder / file).write_text(text)
        digests.append(content_digest(folder))
    assert len(set(digests)) == len(digests)


def test_sums_are_of_what_an_answer_depends_on(here):
    folder = policy(here / "seed0")
    for name in ("README.md", "completions.parquet", ".dipr1"):
        (folder / name).write_text("for people")
    hexes = {name: file_digest(folder / name) for name in ("config.json", "model.safetensors")}
    lines = policy_sums(folder).splitlines()
    assert lines[1:] == [f"{digest}  seed0/{name}" for name, digest in hexes.items()]
    (here / "sums").write_text(policy_sums(folder))
    assert is_ours(here / "sums")


def test_a_policys_large_files_count_by_their_size(here):
    folder, digests = policy(here / "policy"), []
    for size, first in [(LARGE + 1, b"0"), (LARGE + 1, b"1"), (LARGE + 2, b"1")]:
        with (folder / "model.safetensors").open("wb") as file:
            file.write(first)
            file.truncate(size)
        digests.append(content_digest(folder))
    assert digests[0] == digests[1] != digests[2]


def test_work_is_marked_by_all_that_can_change_it(here):
    made = replace(ABOUT, verb="train", options={"a": 1, "b": 2}, inputs=(Input("a", "0"),))
    others = [
        replace(made, seed=4),
        replace(made, inputs=(Input("a", "1"),)),
        replace(made, code=""),
        replace(made, options={"a": 1, "b": 3}),
    ]
    assert all(one.identity() != made.identity() for one in others)
    assert others[-1].identity("b") == made.identity("b") != made.identity()
    assert replace(made).identity() == made.identity()
    json.dumps(made.identity())
