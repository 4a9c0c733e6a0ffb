"""What is written for one case of an archive: its result, which always stays, and what is made about it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.outputs.rules import OutputRules
from pipelines.outputs.stored import ability, failed_rules, read_examination
from pipelines.outputs.table import OUTPUTS, Examined, extras
from pipelines.outputs.write import write_case

if TYPE_CHECKING:
    from anomaly import Examination
    from data_prep import Volume
    from pipelines.reprocess.plan import Task


@dataclass(frozen=True, kw_only=True)
class Published:
    """The outputs of a case as they are in their place.

    Args:
        folder: where they are.
        manifest: of `Store.published`.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def names(self) -> dict[str, str]:
        """Of the files, by kind."""
        names: dict[str, str] = self.manifest["result"]["outputs"]
        return names

    @property
    def failed(self) -> set[str]:
        """The outputs that could not be made and that this software may be able to make, as rules of the site."""
        known = self.manifest.get("software") == ability()
        return failed_rules(self.manifest["result"]["flags"], passing_only=known)

    def examination(self) -> Examination:
        """What the outputs were made from."""
        return read_examination(self.folder, self.names)


def write_outputs(
    task: Task, volume: Volume, exam: Examination, folder: Path, rules: OutputRules, *, unless: str = ""
) -> tuple[dict[str, str], Examination]:
    """Write the outputs of one case; see `write_case`.

    Args:
        task: with the case.
        volume: the case's image.
        exam: of the volume.
        folder: empty.
        rules: of the site.
        unless: why nothing is to be made beside the result; "": it is to be.

    Returns:
        File names by kind, as in `OUTPUTS`; and the examination with its flags as they are written.
    """
    stack = task.case.series.stack if task.case.series is not None else None
    examined = Examined(volume=volume, exam=exam, stack=stack, key=task.job.key, rules=rules)
    return write_case(examined, folder, extras(rules), unless=unless)


def write_missing(
    task: Task, volume: Volume, exam: Examination, folder: Path, rules: OutputRules, before: Published
) -> tuple[dict[str, str], Examination]:
    """As `write_outputs`, for a case that has its result: what could not be made is made, all else is as it was.

    Args:
        before: the case's outputs.
    """
    again, kept = before.failed, before.names
    flags = [flag for flag in exam.finding.flags if not failed_rules([flag]) & again]
    exam = replace(exam, finding=exam.finding.model_copy(update={"flags": flags}))
    wanted = {row.rule for row in extras(rules)} & again
    only = {row.rule: row.rule in wanted for row in OUTPUTS.values() if row.rule is not None}
    names, exam = write_outputs(task, volume, exam, folder, rules.model_copy(update=only))
    for kind in kept.keys() - names.keys():
        shutil.copyfile(before.folder / kept[kind], folder / kept[kind])
    return {**kept, **names}, exam
