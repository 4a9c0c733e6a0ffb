"""The count of what an image archive holds sees what must not be there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from pipelines.reprocess.run import reprocess
from tests.soak.campaign import lay_out
from tests.soak.stored import Stored, look

STUDIES = 3  # the second has an empty mask
SENT_NEVER = Stored(segmentations=2, reports=3, missing=0, doubled=0, strangers=0, altered=0, unconfirmed=5)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    lay_out(folder, STUDIES, every=1)
    reprocess(folder / "source", folder / "archive", bundle=folder / "bundle", site=folder / "site.yaml", workers=1)
    return folder / "archive"


@pytest.fixture
def objects(archive: Path) -> list[Dataset]:
    """What an archive would hold that took everything once: three reports, then two segmentations."""
    return sorted(map(dcmread, (archive / "cases").rglob("*.dcm")), key=lambda one: one.Modality, reverse=True)


def test_everything_once(archive: Path, objects: list[Dataset]) -> None:
    assert look(archive, objects) == SENT_NEVER
    assert not SENT_NEVER.clean
    assert replace(SENT_NEVER, unconfirmed=0).clean


@pytest.mark.parametrize("place", [0, -1])
def test_made_again_under_another_uid_it_is_doubled(archive: Path, objects: list[Dataset], place: int) -> None:
    again = dcmread(objects[place].filename)
    again.SOPInstanceUID, again.SeriesInstanceUID = generate_uid(), generate_uid()
    assert look(archive, [*objects, again]) == replace(SENT_NEVER, doubled=1, altered=1)


def test_what_is_not_there_is_missing(archive: Path, objects: list[Dataset]) -> None:
    assert look(archive, objects[1:]) == replace(SENT_NEVER, reports=2, missing=1)
    assert look(archive, []) == replace(SENT_NEVER, reports=0, segmentations=0, missing=5)


def test_what_belongs_to_no_source_is_a_stranger(archive: Path, objects: list[Dataset]) -> None:
    image = dcmread(next((archive.parent / "source").rglob("*.dcm")))
    assert look(archive, [*objects, image]) == replace(SENT_NEVER, strangers=1)
    objects[-1].ReferencedSeriesSequence[0].SeriesInstanceUID = generate_uid()
    assert look(archive, objects) == replace(SENT_NEVER, segmentations=1, missing=1, strangers=1)


def test_a_report_of_a_segmentation_that_is_not_there_is_a_stranger(archive: Path, objects: list[Dataset]) -> None:
    assert look(archive, objects[:-1]) == replace(SENT_NEVER, segmentations=1, reports=2, missing=2, strangers=1)


def test_another_content_is_altered(archive: Path, objects: list[Dataset]) -> None:
    objects[-1].PixelData = bytes(len(objects[-1].PixelData))
    assert look(archive, objects) == replace(SENT_NEVER, altered=1)
