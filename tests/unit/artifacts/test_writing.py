"""What is written is whole or absent, and never takes the place of what dipr1 did not make."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dipr1.artifacts.rejects import REJECTS
from dipr1.artifacts.writing import MADE_BY, MARK, check_replaceable, is_ours, whole
from dipr1.errors import UserError
from dipr1.progress import say


def make_folder(path, *names):
    with whole(path) as part:
        part.mkdir()
        for name in names:
            (part / name).write_text("x")


def test_our_artifact_is_replaced(tmp_path):
    path = tmp_path / "rejects.parquet"
    for _ in range(2):
        REJECTS.write(REJECTS.schema.empty_table(), path)
    assert is_ours(path)


def test_another_parquet_file_is_not(tmp_path):
    path = tmp_path / "mine.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(UserError, match="does not say that dipr1 made it"):
        REJECTS.write(REJECTS.schema.empty_table(), path)
    assert pq.read_table(path).num_rows == 1


def test_our_folder_is_replaced_and_keeps_its_mark(tmp_path):
    make_folder(tmp_path / "out", "a")
    make_folder(tmp_path / "out", "b")
    assert not (tmp_path / "out" / "a").exists()
    assert is_ours(tmp_path / "out")


@pytest.mark.parametrize("folder", ["never ours", "ours, and something was put into it"])
def test_a_folder_with_somebodys_files_is_kept(tmp_path, folder):
    out = tmp_path / "data"
    if folder == "never ours":
        out.mkdir()
    else:
        make_folder(out, "a")
    (out / "archive.zip").write_text("fetched by hand")
    with pytest.raises(UserError, match="move it away"):
        make_folder(out, "b")
    assert (out / "archive.zip").read_text() == "fetched by hand"
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]


def test_an_empty_folder_or_file_is_nobodys_work(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    make_folder(tmp_path / "folder", "a")
    with whole(tmp_path / "file") as part:
        part.write_text("now")
    assert (tmp_path / "file").read_text() == "now"


@pytest.mark.parametrize("folder", [True, False])
def test_a_file_never_takes_the_place_of_a_folder_nor_the_other_way_round(tmp_path, folder):
    path = tmp_path / "there"
    if folder:
        path.write_text(f"{MADE_BY}")
    else:
        make_folder(path, "a")
    with pytest.raises(UserError, match="name another place"):
        check_replaceable(path, folder=folder)


def test_a_link_to_a_folder_is_kept(tmp_path):
    make_folder(tmp_path / "real", "a")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(UserError):
        make_folder(tmp_path / "link", "b")
    assert (tmp_path / "real" / "a").exists()


@pytest.mark.parametrize("text", [f"<html>\n<!-- {MADE_BY} -->" + "x" * 9999, "x" * 9999 + MADE_BY])
def test_a_text_with_the_mark_is_ours(tmp_path, text):
    (tmp_path / "page.html").write_text(text)
    assert is_ours(tmp_path / "page.html")
    (tmp_path / "mine.html").write_text("x" * 9999)
    assert not is_ours(tmp_path / "mine.html")


def test_whole_renames_a_file_when_it_is_complete(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with whole(target) as part:
        part.write_text("x")
        assert part.parent == target.parent
        assert part.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "x"
    assert list(target.parent.iterdir()) == [target]


def test_whole_leaves_nothing_of_a_failure_and_keeps_what_was(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("before")
    with pytest.raises(RuntimeError), whole(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_said_names_what_there_will_be(tmp_path, capsys):
    with (
        pytest.raises(UserError, match=f"^{tmp_path}/out.txt: bad$"),
        whole(tmp_path / "out.txt") as part,
    ):
        say(f"{part}: begun")
        raise UserError(f"{part}: bad")
    assert capsys.readouterr().err == f"{tmp_path}/out.txt: begun\n"


def test_whole_replaces_a_folder(tmp_path):
    target = tmp_path / "folder"
    for name in ("first", "second"):
        with whole(target) as part:
            part.mkdir()
            (part / name).write_text(name)
    assert sorted(path.name for path in target.iterdir()) == [MARK, "second"]
    with pytest.raises(RuntimeError), whole(target) as part:
        part.mkdir()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [target]
