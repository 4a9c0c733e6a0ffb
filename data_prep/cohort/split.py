"""`draw_sections`: who trains, who validates, who tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from data_prep.cohort.found import Found
from data_prep.errors import InputError

TRAINING, VALIDATION, TEST = "training", "validation", "test"
SHARES = (0.70, 0.15, 0.15)  # of the healthy patients: training, validation, test


def draw_sections(
    scans: Sequence[Found], ill: Iterable[str] = (), *, shares: tuple[float, float, float] = SHARES, seed: int = 0
) -> dict[str, str]:
    """Divide patients, each site in the same proportions.

    The draw depends on the seed and the patients' names alone, not on the order of files. A patient who has a lesion
    goes to the test section, with all scans. A section that the source gave stays.

    Args:
        scans: of the whole cohort.
        ill: names of scans that turned out ill by their masks.
        shares: of training, validation and test among the healthy without a section; they sum to 1.
        seed: another seed, another draw.

    Returns:
        Patient to section.

    Raises:
        InputError: LEAKAGE where a source puts one patient into two sections, or an ill one into training or
            validation without saying which of the slices are healthy.
    """
    sections: dict[str, str] = {}
    for scan in scans:
        if scan.section is not None and sections.setdefault(scan.patient, scan.section) != scan.section:
            reason = f"{scan.patient} is in {sections[scan.patient]} and in {scan.section}"
            raise InputError(scan.image, "LEAKAGE", reason)
    named = frozenset(ill)
    sick = {scan.patient for scan in scans if scan.healthy is False or scan.name in named}
    for scan in scans:
        if scan.patient in sick and sections.get(scan.patient, TEST) != TEST and "healthy_slices" not in scan.meta:
            reason = f"{scan.name} is ill, and in {scan.section}"
            raise InputError(scan.image, "LEAKAGE", reason)
    sections |= {patient: TEST for patient in sick if patient not in sections}
    sites = {scan.patient: scan.site for scan in scans if scan.patient not in sections}
    return sections | _drawn(sites, shares, seed)


def _drawn(sites: Mapping[str, str], shares: tuple[float, float, float], seed: int) -> dict[str, str]:
    """Patients in an order made by hashing; along it each goes where most is still owed, site by site."""
    drawn: dict[str, str] = {}
    owed = dict.fromkeys((TRAINING, VALIDATION, TEST), 0.0)
    for _, patient in sorted((site, _rank(patient, seed)) for patient, site in sites.items()):
        name = patient[1]
        for section, share in zip(owed, shares, strict=True):
            owed[section] += share
        chosen = max(owed, key=lambda section: owed[section])
        owed[chosen] -= 1
        drawn[name] = chosen
    return drawn


def _rank(patient: str, seed: int) -> tuple[str, str]:
    return hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest(), patient
