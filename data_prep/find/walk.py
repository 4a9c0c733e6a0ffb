"""The files of folders and zip archives, one after the other; links lead nowhere else, nothing is unpacked."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from data_prep.budget import DEFAULT_BUDGET, Budget
from data_prep.errors import InputError
from data_prep.find.passed import Passed, Why
from data_prep.formats.source import Source, is_kept, member_name

ARCHIVE = ".zip"
_END_RECORD, _END_SIZE, _MAX_COMMENT = b"PK\5\6", 22, 2**16  # of the end-of-central-directory record
_LOCATOR_SIZE, _END64, _END64_SIZE = 20, b"PK\6\6", 56  # of the records before it where a number is too large for it
_Found = Source | InputError | Passed


def walk_all(paths: Iterable[Path], *, deep: bool = True, budget: Budget = DEFAULT_BUDGET) -> Iterator[_Found]:
    """Every file at `paths`: files as they are, folders and zip archives with all that is in them.

    Args:
        paths: files, folders, zip archives, folders within zip archives.
        deep: go into subfolders.
        budget: limits of archives.

    Yields:
        Regular files that are not hidden, in no order, a reason for what cannot be opened, and what is passed over:
        links, but for those into the store of a data set's manager, pipes and devices. Memory does not grow with the
        number of files on disk.
    """
    for path in paths:
        if path.is_dir():
            yield from _walk_folder(path, deep=deep, budget=budget)
        elif path.exists():
            if not path.is_file():
                yield InputError(path, "UNREADABLE", f"{path.name} is a pipe, a socket or a device, and no file")
                continue
            yield from _walk_archive(path, budget) if is_archive(path) else iter([Source(path)])
        elif (inside := within_archive(path)) is not None:
            yield from _at_member(inside, deep=deep, budget=budget)
        else:
            yield InputError(path, "MISSING_FILE", "there is no such file or folder")


def is_archive(path: str | Path) -> bool:
    """Does the name say zip?"""
    return str(path).lower().endswith(ARCHIVE)


def within_archive(path: Path) -> Source | None:
    """`study.zip/a/b` as the archive on disk and what is in it; None where no parent is an archive."""
    archive = next((parent for parent in path.parents if is_archive(parent) and parent.is_file()), None)
    return None if archive is None else Source(archive, path.relative_to(archive).as_posix())


def _walk_folder(folder: Path, *, deep: bool, budget: Budget) -> Iterator[_Found]:
    """A tree by `os.scandir`, which needs no list of a folder's entries."""
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting += [Path(entry.path)] if deep else []
                    elif (passed := _passed(entry)) is not None:
                        yield passed
                    elif is_archive(entry.name):
                        yield from _walk_archive(Path(entry.path), budget) if deep else iter(())
                    else:
                        yield Source(Path(entry.path))
        except OSError as error:
            yield InputError(place, "UNREADABLE", f"the folder {place.name} cannot be opened ({error.strerror})")


def _passed(entry: os.DirEntry[str]) -> Passed | None:
    """Why an entry that is no folder is not a file to be read."""
    if entry.is_file(follow_symlinks=False):
        return None
    source = Source(Path(entry.path))
    if not entry.is_symlink():
        return Passed.of(source, Why.SPECIAL)
    if not source.path.exists():
        return Passed.of(source, Why.ABSENT)
    return None if is_kept(source) and source.is_file else Passed.of(source, Why.LINK)


def _at_member(source: Source, *, deep: bool, budget: Budget) -> Iterator[_Found]:
    """A member of an archive, or all members under a folder of it."""
    member = source.member or ""
    found = False
    for item in _walk_archive(source.path, budget):
        if not isinstance(item, Source):
            yield item
        elif item.member == member or (item.member or "").startswith(member + "/"):
            inner = (item.member or "")[len(member) + 1 :]
            if deep or "/" not in inner:
                found = True
                yield item
    if not found:
        yield InputError(str(source), "MISSING_FILE", "there is no such file or folder in the archive")


def _walk_archive(path: Path, budget: Budget) -> Iterator[_Found]:
    try:
        _check_directory(path, budget)
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_archive(path, members, budget)
    except InputError as error:
        yield error
        return
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        yield InputError(path, "UNREADABLE", f"the archive {path.name} cannot be opened ({error})")
        return
    for member in members:
        name = member_name(member)
        hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/") if part not in (".", ".."))
        if name.endswith("/") or hidden:
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            yield Passed.of(Source(path, name), Why.LINK)
            continue
        yield _refused(path, member, budget) or Source(path, name)


def _refused(path: Path, member: zipfile.ZipInfo, budget: Budget) -> InputError | None:
    """Why a member is not read."""
    place, name = f"{path}/{member_name(member)}", member_name(member).rpartition("/")[2]
    if member.flag_bits & 1:
        return InputError(place, "UNREADABLE", f"{name} is encrypted; unpack {path.name} with its password first")
    if is_archive(name):
        return InputError(place, "UNREADABLE", f"{name} is an archive within an archive; unpack {path.name} first")
    if member.file_size > budget.file_bytes:
        return InputError(place, "TOO_LARGE", f"{name} would unpack to {member.file_size} bytes")
    return None


def _check_archive(path: Path, members: list[zipfile.ZipInfo], budget: Budget) -> None:
    total = sum(member.file_size for member in members)
    if total > budget.archive_bytes:
        raise InputError(
            path, "TOO_LARGE", f"{path.name} would unpack to {total} bytes; unpack it by hand if it is sound"
        )


def _check_directory(path: Path, budget: Budget) -> None:
    """Refuse a table of contents too large to read, before `zipfile` reads it (APPNOTE 4.3.16)."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_SIZE - _MAX_COMMENT - _LOCATOR_SIZE - _END64_SIZE))
        tail = file.read()
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) < at + _END_SIZE:
        raise InputError(path, "TRUNCATED", f"the archive {path.name} has no end; it was cut short or is no zip file")
    count = int.from_bytes(tail[at + 10 : at + 12], "little")
    table = int.from_bytes(tail[at + 12 : at + 16], "little")
    large = tail[: max(0, at - _LOCATOR_SIZE)][-_END64_SIZE:]
    if large.startswith(_END64):  # zip64 says both in 8 bytes (APPNOTE 4.3.14)
        count, table = (int.from_bytes(large[start : start + 8], "little") for start in (32, 40))
    if count > budget.archive_members or table > 1024 * budget.archive_members:
        raise InputError(path, "TOO_LARGE", f"{path.name} holds {count} or more files; unpack it first")
