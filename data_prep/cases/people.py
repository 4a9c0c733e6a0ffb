"""`People`: who is healthy, by a table of people; every value that is read is lines, and how it was taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from data_prep.errors import InputError

_COLUMNS = (
    "healthy", "group", "clinical_group", "patient_group", "participant_group", "subject_group", "cohort", "diagnosis",
    "clinical_diagnosis", "dx", "dx_group", "health", "health_status", "pathology", "condition", "disease", "status",
    "participant_type", "subject_type", "case_control",
)  # fmt: skip
_HEALTHY = frozenset((
    "control", "controls", "ctrl", "ctrls", "ctl", "ctr", "con", "conts", "contr", "hc", "hcs", "hcp", "hv", "hvs",
    "nc", "ncs", "cn", "cu", "co", "healthy", "health", "healthycontrol", "healthycontrols", "healthycontrolsubject",
    "healthysubject", "healthyvolunteer", "healthyvolunteers", "healthyparticipant", "normalcontrol",
    "normalcontrols", "normal", "typical", "typicallydeveloping", "td", "none", "nodisease", "nopathology",
    "negative", "true", "yes", "cognitivelynormal", "cognitivelyunimpaired", "volunteer", "volunteers", "comparison",
    "unaffected",
))  # fmt: skip
_ILL = frozenset((
    "patient", "patients", "pat", "pats", "pt", "pts", "case", "cases", "ill", "disease", "diseased", "abnormal",
    "affected", "false", "no", "positive", "lesion", "lesions", "ms", "ad", "mci", "ftd", "pd", "als", "tumor",
    "tumour", "glioma", "stroke", "sz", "scz", "schz", "schizophrenia", "asd", "adhd", "bipolar", "bd", "mdd",
    "depression", "epilepsy", "tle", "tbi", "dementia", "hd", "parkinson", "parkinsons", "alzheimer", "alzheimers",
    "multiplesclerosis",
))  # fmt: skip
_UNKNOWN = frozenset(("", "na", "nan", "none given", "unknown", "missing", "null"))
_YES_NO = frozenset(("true", "false", "yes", "no"))  # say something of a column called healthy alone


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())


class People:
    """Judges rows of tables, and keeps what was read.

    Args:
        rule: such as "group=CTRL" or "group=CTRL,HC": the column, and the words that mean healthy; None: usual ones do.

    Raises:
        ValueError: a rule without a column or a word.
    """

    def __init__(self, rule: str | None = None) -> None:
        column, _, words = (rule or "").partition("=")
        self.column = column.strip().casefold()
        self.words = frozenset(_plain(word) for word in words.split(",") if word.strip())
        if rule is not None and not (self.column and self.words):
            msg = f"a column and the word for healthy are needed, such as group=CTRL, got {rule!r}"
            raise ValueError(msg)
        self.read: dict[tuple[str, str], Counter[tuple[str, bool | None]]] = {}
        self.columns: dict[str, list[str]] = {}
        self.silent: Counter[str] = Counter()  # rows of each table that say nothing

    def judge(self, row: Mapping[str, str], table: str) -> bool | None:
        """Is a person healthy? None: the row does not say.

        Args:
            row: of the table, by the columns' names in small letters.
            table: its name.
        """
        self.columns.setdefault(table, list(row))
        for column in (self.column,) if self.column else _COLUMNS:
            value = row.get(column, "").strip()
            if _plain(value) not in _UNKNOWN:
                verdict = self._verdict(column, value)
                self.read.setdefault((table, column), Counter())[value, verdict] += 1
                return verdict
        self.silent[table] += 1
        return None

    def _verdict(self, column: str, value: str) -> bool | None:
        word = _plain(value)
        if self.words:
            return word in self.words
        if column == "healthy" and word in ("0", "1"):
            return word == "1"
        if word in _YES_NO and column != "healthy":
            return None
        if word in _HEALTHY:
            return True
        return False if word in _ILL or not word.isdigit() else None

    def sentences(self) -> list[str]:
        """What was read, one sentence for each column, and for what no column says."""
        lines = []
        for (table, column), counts in self.read.items():
            parts = [
                f"{value} ({count}) {_TAKEN[verdict]}"
                for (value, verdict), count in sorted(counts.items(), key=lambda item: -item[1])
            ]
            lines.append(f"{table}, column {column}: {', '.join(parts)}")
        for table, count in self.silent.items():
            there = ", ".join(self.columns[table])
            lines.append(f"{table}: nothing says of {count} people whether they are healthy; its columns are {there}")
        return lines

    def check(self, source: Path, *, empty: bool) -> None:
        """Raise where a table leaves nobody to learn from, or where a word was not understood.

        Args:
            source: that errors name.
            empty: is nobody left who may be healthy?

        Raises:
            InputError: BAD_DATALIST.
        """
        if self.column and self.columns and not self.read:
            known = ", ".join(sorted({column for columns in self.columns.values() for column in columns}))
            reason = f"no table has a value in the column {self.column}; there are {known}"
            raise InputError(source, "BAD_DATALIST", reason)
        verdicts = Counter(verdict for counts in self.read.values() for _, verdict in counts)
        if verdicts and (empty or verdicts[None]):
            why = "a word that is not understood" if verdicts[None] else "nobody is healthy, and training is empty"
            hint = "name the word for healthy: --healthy COLUMN=WORD"
            raise InputError(source, "BAD_DATALIST", f"{why}: {'; '.join(self.sentences())}; {hint}")


_TAKEN = {True: "healthy", False: "ill", None: "not understood"}
