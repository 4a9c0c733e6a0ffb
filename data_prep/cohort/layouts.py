"""Public data sets as they lie on a disk once downloaded, each told by its file names."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.cohort.found import Found
from data_prep.formats.table import PATTERN
from data_prep.series import file_name

_ANY = rf"(?i:{PATTERN})"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One data set's way of naming files.

    Args:
        name: for `--layout`.
        image: pattern searched in a file's path below the folder, with forward slashes. Group `patient`; where the
            set has them also `sequence`, `site`, `visit`, and `variant` (of processing, of which one is to be used).
        label: the mask's path from the match of the image's; None: there are none.
        healthy: what the set consists of; None: it says so elsewhere, or nowhere.
        ill: patients that the set's own tables call ill.
    """

    name: str
    image: re.Pattern[str]
    label: Callable[[re.Match[str]], str] | None = None
    healthy: bool | None = None
    ill: Callable[[Path], frozenset[str]] = lambda _: frozenset()

    def matches(self, folder: Path, files: Sequence[str]) -> Iterator[tuple[re.Match[str], Found]]:
        """The scans among `files`, paths below `folder`."""
        ill, known = self.ill(folder), set(files)
        for file in files:
            match = self.image.search(file)
            if match is None:
                continue
            groups = match.groupdict()
            label = self.label(match) if self.label else None
            yield (
                match,
                Found(
                    name=_name(file, match),
                    image=folder / file,
                    patient=groups["patient"],
                    label=folder / label if label in known else None,
                    site=(groups.get("site") or "").upper(),
                    healthy=False if groups["patient"] in ill else self.healthy,
                ),
            )


def _name(file: str, match: re.Match[str]) -> str:
    """The file's name, with the patient before it where it does not tell."""
    name, patient = file_name(file), str(match["patient"])
    return name if patient in name else f"{patient}_{name}"


def _near(match: re.Match[str], old: str, new: str) -> str:
    """The path of a file that is called the same but for one part."""
    head, _, tail = match.string.rpartition(old)
    return f"{head}{new}{tail}"


def _beside(match: re.Match[str], name: str) -> str:
    head, slash, _ = match.string.rpartition("/")
    return f"{head}{slash}{name}"


def oasis_ill(folder: Path) -> frozenset[str]:
    """Patients with a Clinical Dementia Rating above 0 in any `*.csv` of the folder.

    OASIS-1: `oasis_cross-sectional.csv` with `ID` and `CDR` (blank for the young and healthy); OASIS-3:
    `OASIS3_UDSb4_cdr.csv` with `OASISID` and `CDRTOT`.
    """
    ill = set()
    for table in sorted(folder.glob("*.csv")):
        with table.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
            for row in csv.DictReader(lines):
                patient, rating = row.get("OASISID") or row.get("ID"), row.get("CDRTOT") or row.get("CDR")
                if patient and _above_zero(rating):
                    ill.add("_".join(patient.split("_")[:2]) if patient.startswith("OAS1_") else patient)
    return frozenset(ill)


def _above_zero(text: str | None) -> bool:
    try:
        return float(text or 0) > 0
    except ValueError:
        return False


LAYOUTS = (
    # brain-development.org: IXI-T1.tar, IXI-T2.tar, ...; hospitals Guy's, Hammersmith, Institute of Psychiatry
    Layout(
        name="ixi",
        image=re.compile(r"(?P<patient>IXI\d{3})-(?P<site>Guys|HH|IOP)-\d{4}-(?P<sequence>T1|T2|PD|MRA)" + _ANY),
        healthy=True,
    ),
    # oasis-brains.org, OASIS-1: Analyze files, which do not say where left is, or what they were converted to
    Layout(
        name="oasis1",
        image=re.compile(
            r"(?P<patient>OAS1_\d{4})_MR(?P<visit>\d)_mpr-?\d?(?P<variant>_anon|_n\d_anon_(?:sbj_)?111(?:_t88_gfc)?)"
            + _ANY
        ),
        ill=oasis_ill,
    ),
    # oasis-brains.org, OASIS-3 from XNAT: OAS30001_MR_d0129/anat2/NIFTI/sub-OAS30001_ses-d0129_run-01_T1w.nii.gz
    Layout(
        name="oasis3",
        image=re.compile(
            r"sub-(?P<patient>OAS3\d{4})_(?:ses|sess)-(?P<visit>d\d+)_(?:\w+-\w+_)*(?P<sequence>T1w|T2w|FLAIR|T2star)"
            + _ANY
        ),
        ill=oasis_ill,
    ),
    # BraTS 2018 to 2021: BraTS20_Training_001/BraTS20_Training_001_flair.nii.gz, BraTS2021_00000/...
    Layout(
        name="brats",
        image=re.compile(r"(?P<patient>Bra[Tt][Ss]\d\d\w+?_\w+?)/(?P=patient)_(?P<sequence>t1|t1ce|t2|flair)" + _ANY),
        label=lambda match: _near(match, f"_{match['sequence']}.", "_seg."),
        healthy=False,
    ),
    # BraTS 2023 and later: BraTS-GLI-00000-000/BraTS-GLI-00000-000-t2f.nii.gz; the last number is the visit
    Layout(
        name="brats2023",
        image=re.compile(
            r"(?P<patient>BraTS-[A-Z]+-\d{5})-(?P<visit>\d{3})/(?P=patient)-\d{3}-(?P<sequence>t1n|t1c|t2w|t2f)" + _ANY
        ),
        label=lambda match: _near(match, f"-{match['sequence']}.", "-seg."),
        healthy=False,
    ),
    # ATLAS 2.0 (Liew 2022): R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz
    Layout(
        name="atlas",
        image=re.compile(
            r"sub-(?P<patient>(?P<site>r\d{3})s\d{3})_ses-(?P<visit>\d+)_space-\w+?_(?P<sequence>T1w)" + _ANY
        ),
        label=lambda match: _near(match, "_T1w.", "_label-L_desc-T1lesion_mask."),
        healthy=False,
    ),
    # Lesjak 2018, "3D MR image database of MS patients": coregistered_resampled/patient01/FLAIR.nii.gz
    Layout(
        name="mslub",
        image=re.compile(r"(?:^|(?P<variant>\w+)/)(?P<patient>patient\d\d)/(?P<sequence>FLAIR|T1W|T1WKS|T2W)" + _ANY),
        label=lambda match: _beside(match, "consensus_gt.nii.gz"),
        healthy=False,
    ),
)
