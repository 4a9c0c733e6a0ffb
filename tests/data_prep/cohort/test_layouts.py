"""Public data sets, as small trees of the same shape."""

import json

import pytest

from data_prep import InputError
from data_prep.cohort.sources import find_scans


def grow(folder, *files):
    """Empty files: layouts are told by names alone."""
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def facts(found):
    return [(scan.name, scan.patient, scan.site, scan.healthy, scan.label and scan.label.name) for scan in found]


def test_ixi(tmp_path):
    grow(tmp_path, "IXI012-HH-1211-T1.nii.gz", "IXI002-Guys-0828-T1.nii.gz", "IXI002-Guys-0828-T2.nii.gz", "notes.txt")
    name, found = find_scans(tmp_path, sequences=["t1"])
    assert name == "ixi"
    assert facts(found) == [
        ("IXI002-Guys-0828-T1", "IXI002", "GUYS", True, None),
        ("IXI012-HH-1211-T1", "IXI012", "HH", True, None),
    ]


def test_oasis1_with_its_table(tmp_path):
    for number in (1, 2, 3):
        grow(tmp_path, f"disc1/OAS1_000{number}_MR1/OAS1_000{number}_MR1_mpr_n4_anon_111_t88_gfc.nii.gz")
    rows = "ID,M/F,Age,CDR\nOAS1_0001_MR1,F,74,0\nOAS1_0002_MR1,F,55,0.5\nOAS1_0003_MR1,M,20,\n"
    (tmp_path / "oasis_cross-sectional.csv").write_text(rows)
    name, found = find_scans(tmp_path)
    assert name == "oasis1"
    assert [(scan.patient, scan.healthy) for scan in found] == [
        ("OAS1_0001", None),
        ("OAS1_0002", False),
        ("OAS1_0003", None),
    ]


def test_oasis1_raw_and_processed_together_are_not_mixed(tmp_path):
    grow(tmp_path, "a/OAS1_0001_MR1_mpr-1_anon.nii.gz", "a/OAS1_0001_MR1_mpr_n4_anon_111_t88_gfc.nii.gz")
    with pytest.raises(InputError, match="name the folder of one"):
        find_scans(tmp_path)


def test_oasis3_from_xnat(tmp_path):
    grow(
        tmp_path,
        "OAS30001_MR_d0129/anat2/NIFTI/sub-OAS30001_ses-d0129_run-01_T1w.nii.gz",
        "OAS30001_MR_d0129/anat4/NIFTI/sub-OAS30001_ses-d0129_T2w.nii.gz",
        "OAS30002_MR_d0371/anat1/NIFTI/sub-OAS30002_ses-d0371_acq-TSE_T2w.nii.gz",
        "OAS30002_MR_d0371/anat1/NIFTI/sub-OAS30002_ses-d0371_T1w.nii.gz",
    )
    (tmp_path / "OASIS3_UDSb4_cdr.csv").write_text("OASISID,CDRTOT\nOAS30001,0\nOAS30002,0\nOAS30002,1\n")
    name, found = find_scans(tmp_path, sequences=["T1w"])
    assert name == "oasis3"
    assert [(scan.patient, scan.healthy) for scan in found] == [("OAS30001", None), ("OAS30002", False)]


@pytest.mark.parametrize(
    ("folder", "image", "label", "patient", "layout", "sequence"),
    [
        ("TrainingData/BraTS20_Training_001", "{}_flair.nii", "{}_seg.nii", "BraTS20_Training_001", "brats", "flair"),
        ("BraTS2021_00495", "{}_flair.nii.gz", "{}_seg.nii.gz", "BraTS2021_00495", "brats", "FLAIR"),
        ("BraTS-GLI-00005-100", "{}-t2f.nii.gz", "{}-seg.nii.gz", "BraTS-GLI-00005", "brats2023", "t2f"),
    ],
)  # fmt: skip
def test_brats_of_three_years(tmp_path, folder, image, label, patient, layout, sequence):
    stem = folder.rpartition("/")[2]
    other = image.format(stem).replace("flair", "t1").replace("t2f", "t1n")
    grow(tmp_path, *(f"{folder}/{name.format(stem)}" for name in (image, label)), f"{folder}/{other}")
    with pytest.raises(InputError, match="name one"):
        find_scans(tmp_path)
    name, (found,) = find_scans(tmp_path, sequences=[sequence] if sequence else [])
    assert name == layout
    assert (found.patient, found.healthy) == (patient, False)
    assert (found.image.name, found.label.name) == (image.format(stem), label.format(stem))


def test_brats_with_a_mask_under_another_name_is_still_ill(tmp_path):
    grow(tmp_path, "BraTS20_Training_355/BraTS20_Training_355_t1.nii", "BraTS20_Training_355/W39_1998.09.19_Segm.nii")
    _, (found,) = find_scans(tmp_path)
    assert (found.label, found.healthy) == (None, False)


def test_atlas(tmp_path):
    stem = "Training/R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym"
    grow(tmp_path, f"{stem}_T1w.nii.gz", f"{stem}_label-L_desc-T1lesion_mask.nii.gz", "dataset_description.json")
    name, (found,) = find_scans(tmp_path)
    assert name == "atlas"
    assert (found.patient, found.site, found.healthy) == ("r001s001", "R001", False)
    assert found.label.name.endswith("T1lesion_mask.nii.gz")


def test_mslub(tmp_path):
    grow(tmp_path, *(f"patient0{n}/{name}.nii.gz" for n in (1, 2) for name in ("FLAIR", "T1W", "consensus_gt")))
    name, found = find_scans(tmp_path, sequences=["FLAIR"])
    assert name == "mslub"
    assert facts(found) == [
        (f"patient0{n}_FLAIR", f"patient0{n}", "", False, "consensus_gt.nii.gz") for n in (1, 2)
    ]  # fmt: skip
    grow(tmp_path, "raw/patient01/FLAIR.nii.gz", "coregistered_resampled/patient01/FLAIR.nii.gz")
    with pytest.raises(InputError, match="coregistered_resampled, raw"):
        find_scans(tmp_path, sequences=["FLAIR"])


def test_decathlon(tmp_path):
    grow(tmp_path, "imagesTr/liver_0.nii.gz", "labelsTr/liver_0.nii.gz", "imagesTs/liver_1.nii.gz")
    training = [{"image": "./imagesTr/liver_0.nii.gz", "label": "./labelsTr/liver_0.nii.gz"}]
    listed = {"training": training, "test": ["./imagesTs/liver_1.nii.gz"]}
    (tmp_path / "dataset.json").write_text(json.dumps(listed))
    name, found = find_scans(tmp_path)
    assert name == "datalist"
    assert facts(found) == [
        ("liver_0", "liver_0", "", None, "liver_0.nii.gz"),
        ("liver_1", "liver_1", "", False, None),
    ]
    assert [scan.section for scan in found] == [None, None]


def test_our_own_datalist_stays_divided(cohort):
    _, found = find_scans(cohort)
    assert [scan.section for scan in found] == ["training"] * 2 + ["validation"] * 2 + ["test"] * 2
    assert found[0].meta["healthy_slices"] == ((0, 6),)


def test_bids_with_participants_sessions_and_masks(tmp_path):
    grow(
        tmp_path,
        "dataset_description.json",
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
        "sub-02/anat/sub-02_acq-mprage_T1w.nii.gz",
        "sub-03/anat/sub-03_T1w.nii.gz",
        "sub-03/func/sub-03_task-rest_bold.nii.gz",
        "derivatives/manual/sub-02/anat/sub-02_desc-lesion_mask.nii.gz",
        "derivatives/manual/sub-01/anat/sub-01_desc-brain_mask.nii.gz",
    )
    rows = "participant_id\tgroup\tsite\nsub-01\tControl\tA\nsub-02\tpatient\tB\nsub-03\tn/a\tA\n"
    (tmp_path / "participants.tsv").write_text(rows)
    name, found = find_scans(tmp_path)
    assert name == "bids"
    assert facts(found) == [
        ("sub-01_ses-1_T1w", "sub-01", "A", True, None),
        ("sub-01_ses-2_T1w", "sub-01", "A", True, None),
        ("sub-02_acq-mprage_T1w", "sub-02", "B", False, "sub-02_desc-lesion_mask.nii.gz"),
        ("sub-03_T1w", "sub-03", "A", None, None),
    ]


def test_links_and_hidden_files_are_passed_over(tmp_path):
    grow(tmp_path / "data", "IXI002-Guys-0828-T1.nii.gz", ".trash/IXI012-HH-1211-T1.nii.gz")
    grow(tmp_path / "elsewhere", "IXI013-HH-1212-T1.nii.gz")
    (tmp_path / "data" / "IXI013-HH-1212-T1.nii.gz").symlink_to(tmp_path / "elsewhere" / "IXI013-HH-1212-T1.nii.gz")
    assert [scan.patient for scan in find_scans(tmp_path / "data")[1]] == ["IXI002"]


def test_what_cannot_be_understood_is_said(tmp_path):
    with pytest.raises(InputError, match="MISSING_FILE"):
        find_scans(tmp_path / "none")
    grow(tmp_path, "IXI002-Guys-0828-T1.nii.gz")
    with pytest.raises(InputError, match="layout brats"):
        find_scans(tmp_path, layout="brats")
    with pytest.raises(InputError, match="no FLAIR in it, but T1"):
        find_scans(tmp_path, sequences=["FLAIR"])
