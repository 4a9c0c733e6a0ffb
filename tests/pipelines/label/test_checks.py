"""What clients of the MONAI Label server may name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.label.checks import (
    IMAGES,
    SESSIONS,
    NameRefusedError,
    check_options,
    file_name,
    image_id,
    label_tag,
    session_id,
)

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "/etc/x",
    "a/b",
    "a\\b",
    ".hidden",
    "a\nb",
    "a\x1b[2Jb",
    "a\u202eb",
    "x" * 300,
    "a\0b",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leads_elsewhere(name: str) -> None:
    for rule in (image_id, label_tag, session_id):
        with pytest.raises(NameRefusedError) as caught:
            rule(name)
        assert not name.strip("./") or name not in str(caught.value), "what a client says is not repeated"


@pytest.mark.parametrize("name", ["IXI002-Guys-0828-T1", "sub 01 (b)", "頭部", "a.b.c", "1.2.840.113619"])
def test_what_files_are_called_is_an_image_s_id(name: str) -> None:
    assert image_id(name) == name
    assert file_name(f"{name}.nii.gz", IMAGES) == f"{name}.nii.gz"


@given(st.text())
def test_a_name_that_is_let_through_stays_in_its_folder(name: str) -> None:
    from pathlib import Path

    try:
        image_id(name)
    except NameRefusedError:
        return
    assert (Path("/studies") / f"{name}.nii.gz").resolve().parent == Path("/studies")


@pytest.mark.parametrize("name", ["/home/me/x.nii.gz", "..\\..\\x.nii.gz", "../x.nii.gz"])
def test_the_folders_of_a_client_are_left_out(name: str) -> None:
    assert file_name(name, IMAGES) == "x.nii.gz"
    with pytest.raises(NameRefusedError):
        file_name(f"{name}\n.nii.gz", IMAGES)


def test_extensions_are_known_by_a_list() -> None:
    for name in ("a.py", "a.nii.gz.sh", "a.tar.gz", "a.json", "a", "a.pt"):
        with pytest.raises(NameRefusedError, match="must end in"):
            file_name(name, IMAGES)
    for name in ("a.zip", "IM0001", "1.2.840.1", "a.dcm", "A.NII.GZ"):
        assert file_name(name, SESSIONS) == name
    with pytest.raises(NameRefusedError):
        file_name("a.tar.gz", SESSIONS)  # whose members may be called ../x


def test_options_of_a_result() -> None:
    check_options({"result_extension": ".nrrd", "result_dtype": "uint8", "label_tag": "final"})
    for name, value in {"result_extension": "/../x", "result_dtype": "object", "label_tag": "../x"}.items():
        with pytest.raises(NameRefusedError):
            check_options({name: value})


def test_a_session_is_a_uuid() -> None:
    assert session_id("6fa459ea-ee8a-3ca4-894e-db77e160355e")
