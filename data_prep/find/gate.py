"""`Gate`: from what a scan found to series with verdicts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from data_prep.budget import Budget
from data_prep.dicom.concatenation import mark_incomplete
from data_prep.dicom.copies import same_image
from data_prep.dicom.instance import Instance
from data_prep.dicom.multiframe import read_frames
from data_prep.dicom.parser import valid_uid
from data_prep.dicom.strays import Why, code_word, look, may_be_cut, why_picture, why_stray
from data_prep.dicom.volumes import Part, volumes_of
from data_prep.errors import InputError
from data_prep.find.index import ScanIndex
from data_prep.find.scan import Kind, Row
from data_prep.formats.source import Source
from data_prep.formats.table import format_of
from data_prep.series import Series, file_name
from data_prep.volume import is_flat

_FRAMES = 2**17  # of all multi-frame files of a series
_NEIGHBOURS = ("TRUNCATED", "UNREADABLE", "TOO_LARGE", "BAD_HEADER")  # a file with one of these may be a lost slice


def series_name(uid: str, number: int = 1) -> str:
    """A short name that tells nothing of the patient: 12 hex digits of the UID's SHA-256, and a number from 2 on."""
    name = hashlib.sha256(uid.encode()).hexdigest()[:12]
    return name if number == 1 else f"{name}-{number}"


class Gate:
    """From rows of the index to series with verdicts."""

    def __init__(
        self,
        index: ScanIndex,
        modalities: frozenset[str],
        *,
        allow_gaps: bool,
        budget: Budget,
        flat: bool | None = None,
    ) -> None:
        self.index, self.modalities, self.allow_gaps, self.budget = index, modalities, allow_gaps, budget
        self.flat = flat

    def judge(self, kind: Kind, uid: str, row: Row) -> Iterator[Series]:
        if kind is Kind.IMAGE:
            yield from self.series(uid, row)
        elif kind is Kind.VOLUME:
            yield of_kind(volume_series(row.source), flat=self.flat)
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
        if objects := self.index.objects(uid):
            yield _no_image(uid, objects[0], tuple(other.source for other in objects))

    def scope(self, uid: str, folder: bytes | None, row: Row) -> Iterator[Series]:
        """The volumes among the images of a series, all or those of one folder, and then what was set aside."""
        place = self.place(uid, folder)
        kept, strays = self.strays(uid, folder)
        if not kept:
            why = why_stray(row.instance, self.modalities) or ("OUT_OF_DOMAIN", "")
            yield self.whole(uid, folder, row.instance, place, InputError(place, *why))
            return
        parts = self.refused(uid, folder, kept) or self.parts(uid, folder)
        if isinstance(parts, InputError):
            yield self.whole(uid, folder, kept[0], place, parts)
            count = 1
        else:
            count = len(parts)
            found = (self.volume(part, parts, number, place) for number, part in enumerate(parts, start=1))
            yield from (of_kind(series, flat=self.flat) for series in found)
        for number, (rows, why) in enumerate(strays, start=count + 1):
            yield _aside(uid, number, rows, why)

    def strays(self, uid: str, folder: bytes | None) -> tuple[list[Instance], list[tuple[list[Row], Why]]]:
        """Take what is no slice out of a scope, look by look: an image of each look that stays, and what does not.

        Where nothing would be left, all stays where it is.
        """
        judged = [(row.instance, why_stray(row.instance, self.modalities)) for row in self.index.looks(uid, folder)]
        if all(why for _, why in judged):
            return [], []
        judged = [(image, None if may_be_cut(image) else why) for image, why in judged]
        if any(why is None and why_picture(image) is None for image, why in judged):
            judged = [(image, why or why_picture(image)) for image, why in judged]
        strays = [(self.index.set_aside(uid, folder, look(image)), why) for image, why in judged if why]
        return [image for image, why in judged if why is None], strays

    def refused(self, uid: str, folder: bytes | None, kept: list[Instance]) -> InputError | None:
        """What speaks against all of a series; `kept` has an image of each look."""
        name = kept[0].source.name
        for image in kept:
            if "MOSAIC" in image.image_type:
                reason = f"{image.source.name} holds a mosaic of slices, which is not supported"
                return InputError(name, "UNSUPPORTED_MULTIFRAME", reason)
        if self.index.patients(uid, folder) > 1:
            return InputError(name, "MIXED_PATIENTS", f"{name} and the others are images of more than one patient")
        fault = self.index.fault(uid, folder)
        if fault is not None and (why := fault.instance.fault) is not None:
            return InputError(name, *why)
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
        """One image for each SOPInstanceUID; a second one must be equal, but for how it is stored."""
        kept: dict[str, Row] = {}
        for row in self.index.images(uid, folder, part):
            other = kept.setdefault(row.sop, row)
            if other is not row and not (_same_file(other, row) or same_image(other.instance, row.instance)):
                reason = f"{other.source.name} and {row.source.name} have one identity but not one content"
                return InputError(str(row.source), "DUPLICATE_CONFLICT", reason)
        return [row.instance for row in kept.values()]

    def parts(self, uid: str, folder: bytes | None) -> list[Part] | InputError:
        """The images of a scope, volume by volume; piece by piece where all are too many to be looked at at once."""
        pieces = self.index.parts(uid, folder)
        together = sum(count for _, count in pieces) <= self.budget.slices
        parts: list[Part] = []
        try:
            for piece, count in [(None, 0)] if together else pieces:
                if count > self.budget.slices:
                    return InputError("", "TOO_LARGE", f"{count} images in one volume are more than is read")
                images = self.images(uid, folder, piece)
                if isinstance(images, InputError):
                    return images
                parts += volumes_of(self.frames(images), allow_gaps=self.allow_gaps, flat=self.flat)
        except InputError as error:
            return error
        return parts

    def frames(self, images: list[Instance]) -> list[Instance]:
        """Single-frame images as they are, and the frames of all files with functional groups, as one pool."""
        if sum(image.frames for image in images) > _FRAMES:
            raise InputError("", "TOO_LARGE", f"{len(images)} files of a series hold more frames than are read")
        found: list[Instance] = []
        for image in mark_incomplete(images):
            several = image.grouped or image.frames > 1
            found += read_frames(image, budget=self.budget) if several else [image]
        return found

    def volume(self, part: Part, parts: list[Part], number: int, place: str) -> Series:
        """One volume with its verdict."""
        group, grid = part.group, part.grid
        uid, first = group[0].series_uid, min(group, key=lambda instance: str(instance.source))
        sources = tuple(dict.fromkeys(instance.source for instance in group))
        name = series_name(uid, number)
        if not place or (len(parts) > 1 and (part.set_aside or sum(not one.set_aside for one in parts) > 1)):
            several = sum(any(image.source == first.source for image in other.group) for other in parts) > 1
            spread = len({source.folder for source in sources}) > 1
            base = str(first.source) if not spread else os.path.commonpath([source.folder for source in sources])
            place = f"{base}#{name}" if several or spread else base
        rows, columns = first.shape
        series = Series(
            name=name,
            place=place,
            kind="dicom",
            uid=uid,
            files=len(sources),
            sources=sources,
            shape=(columns, rows, len(group)),
            **_said(first),
        )
        if grid is None:
            why = part.why or InputError(place, "MULTI_VOLUME", "")
            return replace(series, code=why.code, reason=why.reason)
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
            files=count,
            sources=tuple(row.source for row in rows),
            **_said(sample),
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


def _broken_file(row: Row) -> Series:
    code, reason = row.error
    source = row.source
    return Series(
        name=file_name(source.name), place=str(source), kind="file", code=code, reason=reason, sources=(source,)
    )


def _no_image(uid: str, row: Row, sources: tuple[Source, ...] = ()) -> Series:
    modality, source = row.no_image.modality, row.source
    more = f", as {len(sources) - 1} more are" if len(sources) > 1 else ""
    return Series(
        name=series_name(uid),
        place=str(source),
        kind="dicom",
        code="NO_PIXELS",
        reason=f"{source.name} is a DICOM object of kind {code_word(modality)} without an image{more}",
        uid=uid,
        study_uid=row.no_image.study_uid,
        modality=modality,
        files=len(sources) or 1,
        sources=sources or (source,),
    )


def _aside(uid: str, number: int, rows: list[Row], why: Why) -> Series:
    """Images that were set aside from the others of their series."""
    first = rows[0]
    more = f", as {len(rows) - 1} more are" if len(rows) > 1 else ""
    return Series(
        name=series_name(uid, number),
        place=str(first.source),
        kind="dicom",
        code=why[0],
        reason=f"{why[1]}; it was set aside from its series{more}",
        uid=uid,
        files=len(rows),
        sources=tuple(row.source for row in rows),
        **_said(first.instance),
    )


def _said(image: Instance) -> dict[str, Any]:
    """What the header of one image says of its series."""
    down, across, thickness = *(image.spacing or (0.0, 0.0)), image.thickness
    known = min(down, across, thickness) > 0
    return {
        "study_uid": image.study_uid,
        "sequence": image.sequence,
        "modality": image.modality,
        "spacing": (across, down, thickness) if known else None,
    }


def of_kind(series: Series, *, flat: bool | None) -> Series:
    """An accepted series that is no picture where pictures are wanted, or one where they are not, is not accepted."""
    if series.code or series.shape is None or flat is None or is_flat(series.shape) == flat:
        return series
    name = series.place.rpartition("/")[2] if series.kind != "dicom" else series.sources[0].name
    if flat:
        slices = series.shape[2]
        return replace(series, code="MANY_SLICES", reason=f"{name} is a volume of {slices} slices, wanted are pictures")
    code = "SINGLE_SLICE" if series.kind in ("dicom", "picture") else "WRONG_DIMENSION"  # a file that should hold more
    return replace(series, code=code, reason=f"{name} is a picture of one slice, wanted are volumes")


def volume_series(source: Source) -> Series:
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
