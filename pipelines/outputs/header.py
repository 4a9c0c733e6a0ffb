"""`SourceHeader`: what the DICOM objects about a series take from its headers, made fit before highdicom sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.dicom.parser import valid_uid
from pipelines.outputs.legal import encodings, legal_values
from pipelines.outputs.modules import fit, tags

if TYPE_CHECKING:
    from pydicom import Dataset

    from data_prep.dicom.geometry import Stack
    from data_prep.dicom.instance import Instance

UTF_8 = "ISO_IR 192"
_CHARACTERS, _THICKNESS, _MARK = "SpecificCharacterSet", "SliceThickness", "PositionReferenceIndicator"
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_IMAGE = "1.2.840.10008.5.1.4.1.1.4"  # MR Image Storage: what every slice is to highdicom, until `refer`
_UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # of a picture that does not say how it lies
_STRAIGHT = 1e-4  # direction cosines that are further from right angles are set right; scanners round to three digits


class HeaderError(ValueError):
    """An element without which no DICOM object can be made.

    Args:
        keyword: of the element.
    """

    def __init__(self, keyword: str) -> None:
        super().__init__(f"{keyword} is missing or illegal in the headers of the series")
        self.keyword = keyword


@dataclass(frozen=True, eq=False)
class SourceHeader:
    """The headers of one stack of slices.

    Patient and study come from the first slice, cut to the module tables; geometry and identifiers come from the
    stack, which has been checked. So nothing that a scanner or an anonymiser left in a header can be in the way, and a
    multi-frame file is no other than single images.

    Args:
        stack: the source's slices.
    """

    stack: Stack

    @cached_property
    def common(self) -> Dataset:
        """Patient, study and equipment, legal.

        Raises:
            HeaderError: StudyInstanceUID or SOPClassUID is missing or illegal.
            InputError: the file can no longer be read.
        """
        from pydicom import Dataset
        from pydicom.datadict import tag_for_keyword

        from data_prep.dicom.header import read_header

        source = self.stack.instances[0].source
        more = [tag_for_keyword(keyword) for keyword in (_CHARACTERS, _THICKNESS, _MARK, *_LOSSY)]
        header = read_header(source, sorted({*tags(), *filter(None, more)}))
        raw = Dataset(header.elements if header is not None else {})  # type: ignore[arg-type]
        characters = raw.get_item(_CHARACTERS).value if _CHARACTERS in raw else b""
        names = encodings(characters if isinstance(characters, bytes) else str(characters or "").encode())
        common = fit(raw, names)
        common.StudyInstanceUID = self._study()
        if not all(str(element.value).isascii() for element in common.iterall()):
            common.SpecificCharacterSet = UTF_8
        common.SOPClassUID = self._sop_class(self.stack.instances[0])
        self._add_image(common, raw, names)
        return common

    @cached_property
    def slices(self) -> list[Dataset]:
        """One single-frame image for each slice; `refer` puts what it really is into what was made of them."""
        return [self._slice(instance, str(uid), _IMAGE) for uid, instance in self._by_uid.items()]

    @cached_property
    def files(self) -> list[Dataset]:
        """One image for each file, as it is to be referred to, at the place of its first slice."""
        first = {instance.source: instance for instance in reversed(self.stack.instances)}
        found = reversed(first.values())
        return [self._slice(instance, instance.sop_uid, self._sop_class(instance)) for instance in found]

    def refer(self, made: Dataset) -> None:
        """Let an object that was made of `slices` refer to the files, and to their frames, in place."""
        from pydicom import Dataset

        groups = made.PerFrameFunctionalGroupsSequence
        derived = [derivation for group in groups for derivation in group.DerivationImageSequence]
        items = {id(item): item for derivation in derived for item in derivation.SourceImageSequence}
        for item in items.values():  # which the frames of several segments share
            instance = self._by_uid[item.ReferencedSOPInstanceUID]
            _refer(item, self._sop_class(instance), instance.sop_uid)
            if instance.frame is not None:
                item.ReferencedFrameNumber = instance.frame + 1
        references = [_refer(Dataset(), file.SOPClassUID, file.SOPInstanceUID) for file in self.files]
        made.SourceImageSequence = references
        series = Dataset()
        series.SeriesInstanceUID = self.stack.instances[0].series_uid
        series.ReferencedInstanceSequence = references
        made.ReferencedSeriesSequence = [series]

    @cached_property
    def reference_frame(self) -> str:
        """FrameOfReferenceUID; one that follows from the series' UID where the header has none."""
        from pydicom.uid import generate_uid

        first = self.stack.instances[0]
        named = first.reference_frame
        return named if valid_uid(named) else str(generate_uid(entropy_srcs=["frame of reference", first.series_uid]))

    @cached_property
    def _by_uid(self) -> dict[str, Instance]:
        """The slices by a UID of their own: frames of one file have none."""
        from pydicom.uid import generate_uid

        def uid(instance: Instance) -> str:
            if instance.frame is None:
                return instance.sop_uid
            return str(generate_uid(entropy_srcs=["frame", instance.sop_uid, str(instance.frame)]))

        return {uid(instance): instance for instance in self.stack.instances}

    def _study(self) -> str:
        uid = next((one.study_uid for one in self.stack.instances if valid_uid(one.study_uid)), None)
        if uid is None:
            raise HeaderError("StudyInstanceUID")
        return uid

    @staticmethod
    def _sop_class(instance: Instance) -> str:
        if not valid_uid(instance.sop_class):
            raise HeaderError("SOPClassUID")
        return instance.sop_class

    def _add_image(self, common: Dataset, raw: Dataset, names: Sequence[str]) -> None:
        """What all slices have in common, in place."""
        first = self.stack.instances[0]

        def value(keyword: str) -> Any:
            from pydicom.datadict import dictionary_VR

            found = (
                legal_values(raw.get_item(keyword), keyword, dictionary_VR(keyword), names) if keyword in raw else []
            )
            return found[0] if len(found) == 1 else found

        common.SeriesInstanceUID, common.FrameOfReferenceUID = first.series_uid, self.reference_frame
        common.Modality = first.modality if first.modality in ("CT", "MR", "PT") else "OT"
        common.Rows, common.Columns = first.shape
        common.PositionReferenceIndicator = value(_MARK) or None
        if value(_LOSSY[0]) == "01":
            for keyword in _LOSSY:
                setattr(common, keyword, value(keyword))
        step = self.stack.affine[:3, 2]
        thickness = float(value(_THICKNESS) or 0)
        common.SliceThickness = _decimal(thickness if thickness > 0 else float(np.linalg.norm(step)))
        across, down = (float(length) for length in np.linalg.norm(self.stack.affine[:3, :2], axis=0))
        common.PixelSpacing = [_decimal(length) for length in first.spacing or (down, across)]
        common.ImageOrientationPatient = [_decimal(cosine) for cosine in _straight(first.orientation or _UPRIGHT)]

    def _slice(self, instance: Instance, uid: str, kind: str) -> Dataset:
        from pydicom import Dataset

        image = Dataset()
        image.update(self.common)
        image.SOPClassUID, image.SOPInstanceUID = kind, uid
        image.ImagePositionPatient = [_decimal(coordinate) for coordinate in instance.position or (0.0, 0.0, 0.0)]
        return image


def _refer(item: Dataset, kind: str, uid: str) -> Dataset:
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = kind, uid
    return item


def _decimal(number: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2)."""
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(number))


def _straight(orientation: tuple[float, ...]) -> np.ndarray:
    """Two directions `(6,)` as unit vectors at right angles, where they plainly are not."""
    cosines = np.array(orientation).reshape(2, 3)
    if np.abs(cosines @ cosines.T - np.eye(2)).max() < _STRAIGHT:
        return cosines.ravel()
    row = cosines[0] / np.linalg.norm(cosines[0])
    column = cosines[1] - (cosines[1] @ row) * row
    return np.concatenate([row, column / np.linalg.norm(column)])
