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

Keep = Callable[[PurePosixPath], bool]


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
        UserError: it is not an archive, is broken, or holds a name that leads out of the folder, a
            link, a device, something locked, or more than is plausible or there is room for.
    """
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) in _ZIP
        if is_zip:
            with zipfile.ZipFile(path) as archive:
                _check(path, folder, _zip_members(archive))
                return _unpack_zip(archive, folder, keep)
        with tarfile.open(path) as archive:
            _check(path, folder, _tar_members(archive))
            return _unpack_tar(archive, folder, keep)
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be unpacked ({reason}); get it again") from None


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
        if info.is_dir() or not (keep is None or keep(name)):
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 2**20)
        count += 1
    return count


def _unpack_tar(archive: tarfile.TarFile, folder: Path, keep: Keep | None) -> int:
    count = 0
    for info in archive:
        if info.isfile() and (keep is None or keep(_parts(info.name))):
            archive.extract(info, folder, filter="data")
            count += 1
    return count
