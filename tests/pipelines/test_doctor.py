"""`healthytwin doctor`: it finds what is broken, says how to fix it, and calls nothing broken that works."""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_prep.dicom.encapsulated import DECODED
from pipelines import doctor
from pipelines.cli.app import app


def states(checks: list[doctor.Check]) -> dict[str, str]:
    return {check.what: check.state for check in checks}


def test_this_environment_is_sound() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.stdout
    checks = json.loads(done.stdout)["checks"]
    assert [check for check in checks if check["state"] == "broken"] == []
    found = {check["what"]: check["found"] for check in checks}
    assert found["bundle brain_flair_healthy_twin"].endswith("as calibrated")
    for kind in ("RLE Lossless", "JPEG-LS Lossless Image Compression", "JPEG 2000 Image Compression (Lossless Only)"):
        assert found[kind].endswith("read back exactly")
    assert sum("JPEG" in name or "RLE" in name for name in found) == len(DECODED)
    assert all(check["remedy"] for check in checks if check["state"] == "note")


def test_weights_that_are_not_the_calibrated_ones_are_broken(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundle, tmp_path / "b", ignore=shutil.ignore_patterns("*.pt"))
    monkeypatch.setenv("HEALTHYTWIN_BUNDLE", str(tmp_path / "b"))
    absent, *others = doctor.bundles()
    assert absent.state == "broken"
    assert states(others)["bundle brain_flair_healthy_twin"] == "ok"
    assert "copy its model.pt" in absent.remedy
    (tmp_path / "b" / "models" / "model.pt").write_bytes(b"other weights")
    wrong = next(doctor.bundles())
    assert wrong.state == "broken"
    assert "SHA-256" in wrong.found


def test_a_bundle_that_is_not_the_default_may_lack_its_weights(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundle, tmp_path / "other", ignore=shutil.ignore_patterns("*.pt"))
    monkeypatch.setattr(doctor, "installed_bundles", lambda: [tmp_path / "other"])
    assert states(list(doctor.bundles())) == {"bundle brain_flair_healthy_twin": "ok", "bundle other": "note"}


def test_a_bundle_that_comes_untrained_is_no_reason_for_a_note(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundle, tmp_path / "other", ignore=shutil.ignore_patterns("models"))
    monkeypatch.setattr(doctor, "installed_bundles", lambda: [tmp_path / "other"])
    _, other = doctor.bundles()
    assert (other.state, other.remedy) == ("ok", "")
    assert other.found.startswith("comes untrained")


def test_a_package_that_is_too_old_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "nibabel" else found(name))
    (broken,) = [check for check in doctor.packages() if check.state == "broken"]
    assert (broken.what, broken.found) == ("nibabel", "0.1")
    assert broken.remedy.startswith('pip install "nibabel>=')


def test_a_folder_that_cannot_be_written_to_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/no/such/folder")
    temporary, cache = doctor.folders()
    assert (temporary.state, cache.state) == ("broken", "ok")
    assert "TMPDIR" in temporary.remedy


def test_what_cannot_be_looked_at_is_broken_and_the_rest_is_still_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def torchless() -> None:
        raise ImportError("libcudnn.so.9: cannot open shared object file")

    monkeypatch.setattr(doctor, "torch_works", torchless)
    monkeypatch.setattr(doctor, "dicom_pixels", lambda: iter(()))
    record = doctor.diagnose()
    assert record.exit_code == 2
    assert [check.what for check in record.checks if check.state == "broken"] == ["torch"]
    assert "bundle brain_flair_healthy_twin" in states(record.checks)
