"""Archives, honest and hostile: what is unpacked, and that nothing else is ever written."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from dipr1.datasets import archives
from dipr1.datasets.archives import BrokenArchive, unpack
from dipr1.errors import UserError

FILES = {"set/a/1.txt": b"one", "set/b/2.txt": b"two" * 1000, "set/empty": b""}


def zip_of(path: Path, *members: zipfile.ZipInfo | str, data: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            archive.writestr(member, data)
    return path


def tar_of(path: Path, *members: tarfile.TarInfo, data: bytes = b"x") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            member.size = len(data) if member.isfile() else 0
            archive.addfile(member, io.BytesIO(data))
    return path


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def zip_member(name: str, mode: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, mode << 16
    return member


def everything(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def honest(path: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.mkdir("set")
            for name, data in FILES.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w:" + path.suffix[1:].replace("tar", "")) as archive:
        archive.addfile(tar_member("set", tarfile.DIRTYPE))
        for name, data in FILES.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o4777
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.gz", "a.bz2", "a.xz"])
def test_honest_archives(tmp_path, name):
    target = tmp_path / "out"
    assert unpack(honest(tmp_path / name), target) == 3
    assert everything(target) == FILES
    modes = {stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*.txt")}
    assert not any(mode & (stat.S_ISUID | stat.S_IWOTH) for mode in modes)


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_only_what_is_wanted(tmp_path, name):
    target = tmp_path / "out"
    count = unpack(honest(tmp_path / name), target, keep=lambda name: name.parts[1] == "a")
    assert (count, list(everything(target))) == (1, ["set/a/1.txt"])


WINDOWS = ("set\\", "set\\a\\", "set\\a\\1.txt", "set\\b\\2.txt")


def test_backslashes_part_folders_and_end_their_names(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in WINDOWS:
            archive.writestr(name, b"" if name.endswith("\\") else b"x")
    assert unpack(path, tmp_path / "out") == 2
    assert everything(tmp_path / "out") == {"set/a/1.txt": b"x", "set/b/2.txt": b"x"}


def test_backslashes_in_a_tar(tmp_path):
    path = tar_of(tmp_path / "a.tgz", tar_member("set\\a\\1.txt"))
    assert unpack(path, tmp_path / "out", keep=lambda name: name.parts[0] == "set") == 1
    assert everything(tmp_path / "out") == {"set/a/1.txt": b"x"}


LEADS_OUT = "leads out of the folder; do not trust"
LINK = "is a link or a device; do not trust"
HOSTILE = {
    "zip-parent": lambda p: zip_of(p, "ok", "../evil"),
    "zip-inner-parent": lambda p: zip_of(p, "ok", "a/../../evil"),
    "zip-absolute": lambda p: zip_of(p, "ok", "/tmp/evil"),
    "zip-backslash": lambda p: zip_of(p, "ok", "a\\..\\..\\evil"),
    "zip-backslash-folder": lambda p: zip_of(p, "ok", "..\\evil\\", data=b""),
    "zip-drive": lambda p: zip_of(p, "ok", "C:\\evil"),
    "zip-link": lambda p: zip_of(p, "ok", zip_member("evil", stat.S_IFLNK | 0o777), data=b"/etc"),
    "zip-device": lambda p: zip_of(p, "ok", zip_member("evil", stat.S_IFCHR | 0o666)),
    "tar-parent": lambda p: tar_of(p, tar_member("ok"), tar_member("../evil")),
    "tar-backslash": lambda p: tar_of(p, tar_member("ok"), tar_member("a\\..\\..\\evil")),
    "tar-absolute": lambda p: tar_of(p, tar_member("ok"), tar_member("/tmp/evil")),
    "tar-link": lambda p: tar_of(p, tar_member("ok"), tar_member("evil", tarfile.SYMTYPE, "/etc")),
    "tar-inner-link": lambda p: tar_of(
        p, tar_member("ok"), tar_member("evil", tarfile.SYMTYPE, "ok")
    ),
    "tar-hard-link": lambda p: tar_of(
        p, tar_member("ok"), tar_member("evil", tarfile.LNKTYPE, "/etc/passwd")
    ),
    "tar-device": lambda p: tar_of(p, tar_member("ok"), tar_member("evil", tarfile.CHRTYPE)),
    "tar-pipe": lambda p: tar_of(p, tar_member("ok"), tar_member("evil", tarfile.FIFOTYPE)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_members_stop_it_before_anything_is_written(tmp_path, name):
    path = HOSTILE[name](tmp_path / "archive")
    fault = LINK if any(kind in name for kind in ("link", "device", "pipe")) else LEADS_OUT
    with pytest.raises(UserError, match=fault) as raised:
        unpack(path, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert [file.name for file in tmp_path.iterdir()] == ["archive"]


def test_a_bomb_by_its_own_account(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 10_000)
    data = bytes(4_000_000)
    bombs = [
        zip_of(tmp_path / "a.zip", "zeros", data=data),
        tar_of(tmp_path / "a.tgz", tar_member("zeros"), data=data),
    ]
    for path in bombs:
        with pytest.raises(UserError, match="unpacks to more than .* bytes, 50 times its size"):
            unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_many_small_members_are_a_bomb_too(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1000)
    path = zip_of(tmp_path / "a.zip", *map(str, range(100)), data=bytes(100_000))
    with pytest.raises(UserError, match="unpacks to more than"):
        unpack(path, tmp_path / "out")


def test_a_bomb_that_lies_about_its_size(tmp_path):
    """The directory says 10 bytes; what is more is never written."""
    path = zip_of(tmp_path / "a.zip", "zeros", data=bytes(1_000_000))
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = raw.index(signature) + offset
        raw[at : at + 4] = (10).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")
    assert sum(map(len, everything(tmp_path / "out").values())) <= 10


def test_no_room(tmp_path, monkeypatch):
    usage = archives.shutil.disk_usage(tmp_path)._replace(free=5)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match="unpacks to 3003 bytes but .* has 5 left"):
        unpack(honest(tmp_path / "a.zip"), tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.gz", "a.bz2", "a.xz"])
@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_cut_archives(tmp_path, name, kept):
    path = honest(tmp_path / name)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UserError, match="cannot be unpacked .*; get it again"):
        unpack(path, tmp_path / "out")


def test_a_tar_cut_anywhere(tmp_path):
    """Also between two members, where a reader sees nothing amiss."""
    path = honest(tmp_path / "a.tar")
    whole = path.read_bytes()
    end = len(whole.rstrip(b"\0"))
    for size in (*range(512, end, 512), end):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match="cannot be unpacked"):
            unpack(path, tmp_path / "out")


NO_ARCHIVE = {
    b"": "a.zip: cannot be unpacked (it is empty); get it again",
    b"Rar!\x1a\x07\x01\0rest": "a.zip: cannot be unpacked (neither zip nor tar, it begins with"
    " b'Rar!\\x1a\\x07\\x01\\x00'); get it again",
    # without a time: the name of the test is made of these bytes, in every process alike
    gzip.compress(
        b"no tar", mtime=0
    ): "a.zip: cannot be unpacked (no tar in it, or gzip that is damaged or cut short);"
    " get it again",
}


@pytest.mark.parametrize("data", NO_ARCHIVE)
def test_no_archive(tmp_path, data):
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with pytest.raises(BrokenArchive) as raised:
        unpack(path, tmp_path / "out")
    assert str(raised.value) == f"{tmp_path}/{NO_ARCHIVE[data]}"


@pytest.mark.parametrize("page", [b"<!DOCTYPE html>", b"\xef\xbb\xbf\n  <HTML lang='en'><head>"])
def test_a_page_that_was_saved_as_an_archive(tmp_path, page):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(page)
    with pytest.raises(BrokenArchive, match="a.tar.gz: is a web page and not the file, .*; get it"):
        unpack(path, tmp_path / "out")


def test_a_flipped_byte(tmp_path):
    path = zip_of(tmp_path / "a.zip", "a", data=os.urandom(1000))
    raw = bytearray(path.read_bytes())
    raw[200] ^= 1
    path.write_bytes(raw)
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")


def test_a_password(tmp_path):
    path = zip_of(tmp_path / "a.zip", "a")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(UserError, match="is locked with a password"):
        unpack(path, tmp_path / "out")


def test_what_the_disk_refuses_is_no_fault_of_the_archive(tmp_path):
    with pytest.raises(UserError, match="cannot be unpacked") as raised:
        unpack(zip_of(tmp_path / "a.zip", "a", "a/b"), tmp_path / "out")
    assert not isinstance(raised.value, BrokenArchive)
