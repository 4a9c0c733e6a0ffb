"""`Gate`: from what a scan found to series with verdicts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from data_prep.budget import Budget
from data_prep.dicom.geometry import stack
from data_prep.dicom.instance import Instance, valid_uid
from data_prep.dicom.multiframe import ENHANCED, read_frames
from data_prep.dicom.parts import Group, is_localizer, split_volumes
from data_prep.errors import InputError
from data_prep.find.index import ScanIndex
from data_prep.find.scan import Kind, Row
from data_prep.formats.source import Source
from data_prep.formats.table import format_of
from data_prep.series import Series, file_name

_GREY = ("", "MONOCHROME1", "MONOCHROME2")
_NEIGHBOURS = ("TRUNCATED", "UNREADABLE", "TOO_LARGE", "BAD_HEADER")  # a file with one of these may be a lost slice


def series_name(uid: str, number: int = 1) -> str:
    """A short name that tells nothing of the patient: 12 hex digits of the UID's SHA-256, and a number from 2 on."""
    name = hashlib.sha256(uid.encode()).hexdigest()[:12]
    return name if number == 1 else f"{name}-{number}"


class Gate:
    """From rows of the index to series with verdicts."""

    def __init__(self, index: ScanIndex, modalities: frozenset[str], *, allow_gaps: bool, budget: Budget) -> None:
        self.index, self.modalities, self.allow_gaps, self.budget = index, modalities, allow_gaps, budget

    def judge(self, kind: Kind, uid: str, row: Row) -> Iterator[Series]:
        if kind is Kind.IMAGE:
            yield from self.series(uid, row)
        elif kind is Kind.VOLUME:
            yield _volume_file(row.source)
        elif kind is Kind.ERROR:
            yield _broken_file(row)
        else:
            yield _no_image(uid, row)

    def series(self, uid: str, row: Row) -> Iterator[Series]:
        """The volumes of one series; several series where an anonymiser gave them one UID."""
        folders = self.index.folders(uid)
        if self.index.same_images_in(uid, folders) and isinstance(self.images(uid, None), InputError):
            for folder in folders:
                yield from self.scope(uid, folder, next(self.index.images(uid, folder)))
        else:
            yield from self.scope(uid, None, row)

    def scope(self, uid: str, folder: bytes | None, row: Row) -> Iterator[Series]:
        """The volumes among the images of a series, all or those of one folder."""
        place = self.place(uid, folder)
        refused = self.refused(uid, folder, row.instance)
        if refused is not None:
            yield self.whole(uid, folder, row.instance, place, refused)
            return
        groups = self.groups(uid, folder)
        if isinstance(groups, InputError):
            yield self.whole(uid, folder, row.instance, place, groups)
            return
        for number, group in enumerate(groups, start=1):
            yield self.volume(group, groups, number, place)

    def refused(self, uid: str, folder: bytes | None, sample: Instance) -> InputError | None:
        """What speaks against all of a series."""
        name = sample.source.name
        if sample.modality not in self.modalities:
            wanted = ", ".join(sorted(self.modalities))
            return InputError(
                name, "OUT_OF_DOMAIN", f"{name} is of modality {_word(sample.modality)}, wanted is {wanted}"
            )
        if sample.samples != 1 or sample.photometric not in _GREY or sample.lookup:
            return InputError(name, "NOT_GREYSCALE", f"{name} holds no plain grey values ({_word(sample.photometric)})")
        if "LOCALIZER" in sample.image_type and len(self.index.parts(uid, folder)) == 1:
            return InputError(name, "LOCALIZER", f"{name} belongs to a localizer")
        if "MOSAIC" in sample.image_type:
            return InputError(
                name, "UNSUPPORTED_MULTIFRAME", f"{name} holds a mosaic of slices, which is not supported"
            )
        if self.index.patients(uid, folder) > 1:
            return InputError(name, "MIXED_PATIENTS", f"{name} and the others are images of more than one patient")
        fault = self.index.fault(uid, folder)
        if fault is not None and (reason := fault.instance.fault) is not None:
            return InputError(name, *reason)
        return self.broken_neighbour(uid, folder)

    def broken_neighbour(self, uid: str, folder: bytes | None) -> InputError | None:
        """An unreadable file beside the images, which may be one of them."""
        for place in self.index.folders(uid, folder):
            for row in self.index.errors_in(place):
                code, _ = row.error
                if code in _NEIGHBOURS:
                    reason = f"{row.source.name} beside it cannot be read, so a slice may be missing"
                    return InputError(str(row.source), code, reason)
        return None

    def images(self, uid: str, folder: bytes | None, part: str | None = None) -> list[Instance] | InputError:
        """One image for each SOPInstanceUID; a second one must be equal byte for byte."""
        kept: dict[str, Row] = {}
        for row in self.index.images(uid, folder, part):
            other = kept.setdefault(row.sop, row)
            if other is not row and not _same_file(other, row):
                reason = f"{other.source.name} and {row.source.name} have one identity but not one content"
                return InputError(str(row.source), "DUPLICATE_CONFLICT", reason)
        return [row.instance for row in kept.values()]

    def groups(self, uid: str, folder: bytes | None) -> list[Group] | InputError:
        """The images of a scope, volume by volume; part by part where all are too many to be looked at at once."""
        parts = self.index.parts(uid, folder)
        together = sum(count for _, count in parts) <= self.budget.slices
        groups: list[Group] = []
        try:
            for part, count in [(None, 0)] if together else parts:
                if count > self.budget.slices:
                    return InputError("", "TOO_LARGE", f"{count} images in one volume are more than is read")
                images = self.images(uid, folder, part)
                if isinstance(images, InputError):
                    return images
                groups += self.split(images)
        except InputError as error:
            return error
        return groups

    def split(self, images: list[Instance]) -> list[Group]:
        """Volumes of single-frame images together, and of each multi-frame file."""
        groups: list[Group] = []
        single: list[Instance] = []
        for image in images:
            if image.frames > 1:
                groups += split_volumes(read_frames(image, budget=self.budget))
            elif image.sop_class in ENHANCED:
                single += read_frames(image, budget=self.budget)
            else:
                single.append(image)
        return groups + (split_volumes(single) if single else [])

    def volume(self, group: Group, groups: list[Group], number: int, place: str) -> Series:
        """One volume with its verdict."""
        uid, first = group[0].series_uid, min(group, key=lambda instance: str(instance.source))
        sources = tuple(dict.fromkeys(instance.source for instance in group))
        name = series_name(uid, number)
        if len(groups) > 1 or not place:
            several = sum(other[0].source == first.source for other in groups) > 1
            spread = len({source.folder for source in sources}) > 1
            base = str(first.source) if not spread else os.path.commonpath([source.folder for source in sources])
            place = f"{base}#{name}" if several or spread else base
        rows, columns = first.shape
        series = Series(
            name=name,
            place=place,
            kind="dicom",
            uid=uid,
            modality=first.modality,
            files=len(sources),
            sources=sources,
            shape=(columns, rows, len(group)),
        )
        try:
            if is_localizer(group, groups):
                raise InputError(place, "LOCALIZER", f"{first.source.name} belongs to a localizer")
            grid = stack(group, place, allow_gaps=self.allow_gaps)
        except InputError as error:
            return replace(series, code=error.code, reason=error.reason)
        spacing = tuple(float(length) for length in np.linalg.norm(grid.affine[:3, :3], axis=0))
        return replace(series, shape=grid.shape, spacing=spacing, flags=grid.flags, stack=grid)

    def whole(self, uid: str, folder: bytes | None, sample: Instance, place: str, why: InputError) -> Series:
        """A series that is refused before it is split."""
        count = self.index.files(uid, folder)
        rows = self.index.images(uid, folder) if count <= self.budget.slices else ()
        return Series(
            name=series_name(uid),
            place=place or str(sample.source),
            kind="dicom",
            code=why.code,
            reason=why.reason,
            uid=uid if valid_uid(uid) else None,
            modality=sample.modality,
            files=count,
            sources=tuple(row.source for row in rows),
        )

    def place(self, uid: str, folder: bytes | None) -> str:
        """The folder that holds the series and no other; "" where there is none."""
        folders = self.index.folders(uid, folder)
        common = os.path.commonpath(folders) if len(folders) > 1 else folders[0]
        return os.fsdecode(common) if common and self.index.alone(uid, common) else ""


def _same_file(one: Row, other: Row) -> bool:
    """Are two files one (hard links), or equal byte for byte?"""
    if one.inode and one.inode == other.inode:
        return True
    first, second = one.source, other.source
    return one.content == other.content and first.size == second.size and _digest(first) == _digest(second)


def _digest(source: Source) -> bytes:
    with source.open() as stream:
        return hashlib.file_digest(stream, "sha256").digest()  # type: ignore[arg-type]


def _word(value: str) -> str:
    """A header's code word; what is not one is not shown, as it may be anything."""
    return value if value.replace("_", "").isalnum() and len(value) <= 16 else "unknown"


def _broken_file(row: Row) -> Series:
    code, reason = row.error
    source = row.source
    return Series(
        name=file_name(source.name), place=str(source), kind="file", code=code, reason=reason, sources=(source,)
    )


def _no_image(uid: str, row: Row) -> Series:
    modality, source = row.no_image.modality, row.source
    return Series(
        name=series_name(uid),
        place=str(source),
        kind="dicom",
        code="NO_PIXELS",
        reason=f"{source.name} is a DICOM object of kind {_word(modality)} without an image",
        uid=uid,
        modality=modality,
        sources=(source,),
    )


def _volume_file(source: Source) -> Series:
    """A file of a format of the table, judged by its header."""
    kind = format_of(source)
    series = Series(
        name=file_name(source.name), place=str(source), kind=kind.kind if kind else "file", sources=(source,)
    )
    try:
        if kind is None:
            raise InputError(str(source), "NOT_AN_IMAGE", f"{source.name} has changed while it was looked at")
        header = kind.header(source)
    except InputError as error:
        return replace(series, code=error.code, reason=error.reason)
    spacing = tuple(float(length) for length in np.linalg.norm(header.affine[:3, :3], axis=0))
    files = header.files
    return replace(series, files=len(files), sources=files, shape=header.shape, spacing=spacing, flags=header.flags)
