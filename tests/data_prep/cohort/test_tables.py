"""Tables of cases and people: read in every encoding, understood or refused, and told."""

import json

import nibabel as nib
import numpy as np
import pytest
from conftest import phantom, rotated_affine
from typer.testing import CliRunner

from data_prep import InputError, list_cases
from data_prep.cases.datalist import Datalist
from data_prep.cases.people import People
from data_prep.cohort.sources import find_scans
from data_prep.formats.rows import read_rows
from pipelines.cli.app import app


def save(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(phantom((32, 32, 6), seed=seed)[0], rotated_affine((3.0, 3.0, 5.0))), path)


@pytest.fixture
def bids(tmp_path):
    """Six people, and `write(rows)` for their table."""
    root = tmp_path / "bids"
    for number in range(1, 7):
        save(root / f"sub-{number:02d}" / "anat" / f"sub-{number:02d}_T1w.nii.gz", seed=number)
    (root / "dataset_description.json").write_text("{}")
    return root


def table(column, words, *, prefix="sub-", delimiter="\t", encoding="utf-8"):
    rows = [["participant_id", column], *([f"{prefix}{n:02d}", word] for n, word in enumerate(words, start=1))]
    return "\n".join(delimiter.join(row) for row in rows).encode(encoding)


@pytest.mark.parametrize("column", ["group", "clinical_group", "status", "cohort", "Diagnosis"])
@pytest.mark.parametrize("word", ["CTRL", "Healthy Controls", "control", "HC", "cognitively normal"])
def test_the_usual_columns_and_words_are_understood(bids, column, word):
    (bids / "participants.tsv").write_bytes(table(column, [word] * 4 + ["PAT"] * 2))
    assert [scan.healthy for scan in find_scans(bids)[1]] == [True] * 4 + [False] * 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("prefix", ["sub-", "", "sub"])
def test_encoding_delimiter_and_ids_do_not_matter(bids, encoding, delimiter, prefix):
    words = ["control"] * 4 + ["pät"] * 2
    content = table("group", words, prefix=prefix, delimiter=delimiter, encoding=encoding)
    (bids / "participants.tsv").write_bytes(content)
    assert [scan.healthy for scan in find_scans(bids)[1]] == [True] * 4 + [False] * 2


def test_a_table_of_other_people_is_an_error(bids):
    (bids / "participants.tsv").write_bytes(table("group", ["control"] * 6, prefix="HC0"))
    with pytest.raises(InputError, match=r"none of its 6 rows is of one of the 6 people.*HC001 and sub-01"):
        find_scans(bids)


def run(*arguments):
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


def test_prepare_tells_every_value_and_how_it_was_taken(bids, tmp_path):
    (bids / "participants.tsv").write_bytes(table("group", ["HC"] * 4 + ["MS", "n/a"]))
    done = run(bids, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "participants.tsv, column group: HC (4) healthy, MS (1) ill" in done.stdout
    assert "nothing says of 1 people" in done.stdout


@pytest.mark.parametrize(
    ("words", "why"), [(["0"] * 4 + ["1"] * 2, "not understood"), (["A"] * 6, "nobody is healthy")]
)
def test_a_word_that_is_not_understood_is_asked_for(bids, tmp_path, words, why):
    (bids / "participants.tsv").write_bytes(table("group", words))
    done = run(bids, "-o", tmp_path / "out")
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert why in said
    assert f"{words[0]} ({words.count(words[0])})" in said
    assert "--healthy COLUMN=WORD" in said
    done = run(bids, "-o", tmp_path / "out", "--healthy", f"group={words[0]}", "--json")
    assert done.exit_code == 0, done.stderr
    sections = [scan["section"] for scan in json.loads(done.stdout)["scans"]]
    assert sections.count("test") >= words.count("1")
    assert "training" in sections


@pytest.mark.parametrize("rule", ["CTRL", "group=", "=CTRL"])
def test_a_rule_needs_a_column_and_a_word(bids, tmp_path, rule):
    done = run(bids, "-o", tmp_path / "out", "--healthy", rule)
    assert done.exit_code == 2
    assert "group=CTRL" in done.stderr


def test_a_column_that_is_not_there_is_an_error(bids, tmp_path):
    (bids / "participants.tsv").write_bytes(table("group", ["HC"] * 6))
    done = run(bids, "-o", tmp_path / "out", "--healthy", "dx=HC")
    assert done.exit_code == 2
    assert "no table has a value in the column dx; there are group, participant_id" in " ".join(done.stderr.split())


@pytest.fixture
def csv(tmp_path):
    for number in range(6):
        save(tmp_path / "scans" / f"{number}.nii.gz", seed=number)
    rows = ["image,patient,group,section,site,age,sex"]
    rows += [f"scans/{n}.nii.gz,p{n // 2},{'HC' if n < 4 else 'MS'},,A,{30 + n},F" for n in range(6)]
    path = tmp_path / "cohort.csv"
    path.write_text("\n".join(rows))
    return path


def test_a_table_is_a_datalist(csv):
    cases = list_cases(csv, "training")
    assert [case.patient for case in cases] == ["p0", "p0", "p1", "p1"]
    assert cases[0].meta["age"] == "30"
    assert [case.meta["healthy"] for case in list_cases(csv, "test")] == [False, False]
    assert Datalist.read(csv).about["people"] == ["cohort.csv, column group: HC (4) healthy, MS (2) ill"]


def test_prepare_takes_a_table(csv, tmp_path):
    done = run(csv, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.stderr
    scans = json.loads(done.stdout)["scans"]
    assert len(scans) == 6
    assert {scan["section"] for scan in scans if scan["patient"] == "p2"} == {"test"}


def test_columns_of_sequences_make_visits(tmp_path):
    for name in ("a1", "a2", "b2"):
        save(tmp_path / f"{name}.nii.gz")
    (tmp_path / "t.tsv").write_text(
        "image:T1\timage:FLAIR\tsection\na1.nii.gz\ta2.nii.gz\ttrain\nn/a\tb2.nii.gz\tval\n"
    )
    datalist = Datalist.read(tmp_path / "t.tsv")
    assert datalist.sequences == ["T1".lower(), "FLAIR".lower()]
    assert list_cases(datalist, "validation")[0].images[0] is None
    assert np.shape(list_cases(datalist, "training")[0].volume().sequences[1]) == (32, 32, 6)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"),
        ("path,group\na.nii,HC\n", "needs the column image; its columns are path, group"),
        ("image,image\na,b\n", "two columns have the same name"),
        ("image,section\na.nii,holdout\n", "section 'holdout'"),
        ("image,group\n,HC\n", "row 2 names no image"),
        ("image\na.nii,b\n", "row 2 has 2 values for 1 columns"),
    ],
)
def test_a_table_that_is_none_says_why(tmp_path, content, why):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=why):
        Datalist.read(path)


def test_rows_are_read_as_they_are(tmp_path):
    (tmp_path / "t.csv").write_text('image;note\na.nii;"x;y"\n\n')
    assert read_rows(tmp_path / "t.csv") == [{"image": "a.nii", "note": "x;y"}]


def test_yes_and_no_say_something_of_a_column_called_healthy_alone():
    people = People()
    assert people.judge({"healthy": "yes"}, "t") is True
    assert people.judge({"healthy": "0"}, "t") is False
    assert people.judge({"condition": "no"}, "t") is None
