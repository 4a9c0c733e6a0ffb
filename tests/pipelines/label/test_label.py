"""`healthytwin label` where MONAI Label is not: what it says, the app's folder, and one study through the gate."""

from pathlib import Path

import pytest
from archive import dicom_series

from data_prep import InputError
from pipelines.label import server
from pipelines.label.examiner import Examiner, only_case, place_of, study_of
from pipelines.label.server import COMPAT, environment


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


def test_the_folder_of_the_app_holds_what_monai_label_looks_for(healthytwin, tmp_path):
    done = healthytwin("label", "--print-app")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [str(tmp_path / "home" / "healthytwin" / "label")]
    assert "import HealthyTwinApp" in Path(done.stdout.strip(), "main.py").read_text()


@pytest.mark.parametrize(
    ("installed", "words", "told"),
    [
        (True, [], "name the studies"),
        (False, ["--studies", "."], "`make label`"),
        (True, ["--studies", "nowhere"], "nowhere: no such folder"),
        (True, ["--studies", ".", "--bundle", "nowhere"], "nowhere: not a bundle"),
    ],
)
def test_what_is_missing_is_named(healthytwin, monkeypatch, installed, words, told):
    monkeypatch.setattr(server, "find_spec", lambda _: object() if installed else None)
    done = healthytwin("label", *words)
    assert done.exit_code == 2
    assert told in done.stderr


def test_the_server_starts_at_this_machines_own_address(healthytwin, fake_bundle, monkeypatch, tmp_path):
    commands = []

    monkeypatch.setattr(server, "find_spec", lambda _: object())
    monkeypatch.setattr(server, "_run", lambda command, *_: commands.append(command) or 0)
    done = healthytwin("label", "--studies", tmp_path)
    assert done.exit_code == 0
    assert done.stderr.strip() == "In 3D Slicer, open the module MONAI Label and enter http://127.0.0.1:8000"
    (command,) = commands
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("bundle") + 1] == str(fake_bundle)


def test_the_paths_of_the_user_are_kept(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":/mine")
    assert environment()["PYTHONPATH"].split(":")[:2] == [str(COMPAT), "/mine"]
    assert "" not in environment()["PYTHONPATH"].split(":"), "the folder of whoever starts it"


def test_a_study_is_one_case_that_the_bundle_is_for(bundle, tmp_path):
    dicom_series(tmp_path / "both" / "one")
    assert only_case(tmp_path / "both", bundle).image
    dicom_series(tmp_path / "both" / "two", seed=1)
    (tmp_path / "empty").mkdir()
    for place, code in (("both", "MULTI_VOLUME"), ("empty", "NOT_AN_IMAGE")):
        with pytest.raises(InputError) as caught:
            only_case(tmp_path / place, bundle)
        assert caught.value.code == code


def test_what_is_not_for_the_bundle_is_refused_with_the_reason(bundle, tmp_path):
    from pydicom import dcmread

    for file in dicom_series(tmp_path / "ct").iterdir():
        header = dcmread(file)
        header.Modality = "CT"
        header.save_as(file)
    with pytest.raises(InputError, match="CT") as caught:
        only_case(tmp_path / "ct", bundle)
    assert caught.value.code == "OUT_OF_DOMAIN"


def test_the_series_itself_is_examined_where_it_lies_beside_its_conversion(tmp_path):
    (tmp_path / "1.2.3").mkdir()
    assert study_of(tmp_path / "1.2.3.nii.gz") == tmp_path / "1.2.3"
    assert study_of(tmp_path / "head.nii.gz") == tmp_path / "head.nii.gz"
    assert study_of(str(tmp_path / "1.2.3")) == tmp_path / "1.2.3"


def test_a_temporary_conversion_does_not_stay_behind(tmp_path):
    kept, temporary = tmp_path / "kept.nii.gz", tmp_path / "temporary.nii.gz"
    temporary.touch()

    class Store:
        places = iter((temporary, kept, kept, kept))

        def get_image_uri(self, _):
            return str(next(self.places))

    kept.touch()
    assert place_of("any", Store()) == str(kept)
    assert not temporary.exists()
    store = Store()
    assert place_of("any", store) == str(kept)
    assert kept.exists()


def test_the_last_answer_serves_for_the_same_study_alone(identity_bundle, tmp_path):
    one, two = (dicom_series(tmp_path / name, lesion=name == "ill", seed=n) for n, name in enumerate(("ill", "well")))
    examiner = Examiner(identity_bundle, device="cpu")
    first = examiner(one)[1]
    assert examiner(one)[1] is first
    assert first.twin is None
    assert examiner(two)[1].finding.score < first.finding.score
