"""Unpack a zip or tar archive that nobody vouches for.

Nothing is written before the whole archive was looked through: every member is a plain file or a
folder below the target, and together they are not absurdly larger than the archive.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dipr1.errors import UserError

# Images do not shrink, and annotation texts to a tenth; a bomb to a thousandth.
LARGEST_RATIO = 50
ALWAYS_ALLOWED = 64 * 2**20  # bytes

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that Python does not know
)

# A reader of tar tries them in turn and complains about each.
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_PAGE = (b"<!doctype html", b"<html")
_MARK = b"\xef\xbb\xbf"  # of UTF-8

Keep = Callable[[PurePosixPath], bool]


class BrokenArchive(UserError):
    """A file that is no archive or a damaged one: another copy of it may be whole."""


class Member(NamedTuple):
    """What an archive says of one of its members."""

    name: str
    size: int  # unpacked, bytes
    fault: str | None  # why it is not unpacked


def unpack(path: Path, folder: Path, *, keep: Keep | None = None) -> int:
    """Unpack an archive; returns the number of files written.

    Args:
        path: zip, or tar with any compression Python knows.
        folder: where to; made where it does not exist.
        keep: which files are wanted, by their name in the archive; None wants all.

    Raises:
        BrokenArchive: it is not an archive, or cannot be read to its end.
        UserError: it holds a name that leads out of the folder, a link, a device, something
            locked, or more than is plausible or there is room for; the disk fails.
    """
    try:
        check_no_page(path)
        with path.open("rb") as file:
            begin = file.read(8)
        if begin.startswith(_ZIP):
            with zipfile.ZipFile(path) as archive:
                _check(path, folder, _zip_members(archive))
                return _unpack_zip(archive, folder, keep)
        with _open_tar(path, begin) as archive:
            _check(path, folder, _tar_members(archive))
            return _unpack_tar(archive, folder, keep)
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.errno is not None:  # the disk, not the archive
            raise UserError(f"{path}: cannot be unpacked ({reason})") from None
        raise BrokenArchive(f"{path}: cannot be unpacked ({reason}); get it again") from None


def check_no_page(path: Path) -> None:
    """Check that a file which was fetched is not the page of a site that asked for a login.

    Raises:
        BrokenArchive: it is a page.
    """
    with path.open("rb") as file:
        begin = file.read(512).removeprefix(_MARK).lstrip()
    if begin.lower().startswith(_PAGE):
        raise BrokenArchive(
            f"{path}: is a web page and not the file, as a site saves it that asks for a login;"
            " get it again with a browser that is logged in"
        )


def _open_tar(path: Path, begin: bytes) -> tarfile.TarFile:
    try:
        return tarfile.open(path)
    except tarfile.ReadError:
        kinds = [kind for magic, kind in _COMPRESSED.items() if begin.startswith(magic)]
        if kinds:
            reason = f"no tar in it, or {kinds[0]} that is damaged or cut short"
        else:
            reason = f"neither zip nor tar, it begins with {begin!r}" if begin else "it is empty"
        raise tarfile.ReadError(reason) from None


def _check(path: Path, folder: Path, members: Iterable[Member]) -> None:
    allowed = max(ALWAYS_ALLOWED, LARGEST_RATIO * path.stat().st_size)
    total = 0
    for member in members:
        fault = member.fault or _name_fault(member.name)
        if fault is not None:
            raise UserError(f"{path}: {member.name!r} {fault}; do not trust this archive")
        total += member.size
        if total > allowed:
            raise UserError(
                f"{path}: unpacks to more than {allowed} bytes, {LARGEST_RATIO} times its size; do"
                " not trust this archive"
            )
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if total > free:
        raise UserError(f"{path}: unpacks to {total} bytes but {folder.parent} has {free} left")


def _name_fault(name: str) -> str | None:
    """Why a member's name cannot be used.

    >>> _name_fault("images/a.jpg"), _name_fault("a/../../b"), _name_fault("C:/a")
    (None, 'leads out of the folder', 'leads out of the folder')
    """
    path = _parts(name)
    drive = path.parts and path.parts[0].endswith(":")
    return "leads out of the folder" if path.is_absolute() or ".." in path.parts or drive else None


def _parts(name: str) -> PurePosixPath:
    """A name's parts; some makers of zips on Windows write backslashes."""
    return PurePosixPath(name.replace("\\", "/"))


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        fault = None
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            fault = "is a link or a device"
        elif info.flag_bits & 1:
            fault = "is locked with a password"
        yield Member(info.filename, info.file_size, fault)


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        plain = info.isfile() or info.isdir()
        yield Member(info.name, info.size, None if plain else "is a link or a device")
    # Python takes a tar that was cut between two members for a whole one
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it ends early")


def _unpack_zip(archive: zipfile.ZipFile, folder: Path, keep: Keep | None) -> int:
    count = 0
    for info in archive.infolist():
        name = _parts(info.filename)
        if _is_folder(info) or not (keep is None or keep(name)):
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 2**20)
        count += 1
    return count


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith(("/", "\\")) or stat.S_ISDIR(info.external_attr >> 16)


def _unpack_tar(archive: tarfile.TarFile, folder: Path, keep: Keep | None) -> int:
    count = 0
    for info in archive:
        name = _parts(info.name)
        if info.isfile() and (keep is None or keep(name)):
            archive.extract(info.replace(name=str(name), deep=False), folder, filter="data")
            count += 1
    return count
