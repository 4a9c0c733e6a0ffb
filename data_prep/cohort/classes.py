"""Pictures in a folder a class, as most sets of pictures are given: `normal/`, `benign/`, `malignant/`, `masks/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_prep.cohort.found import Found
from data_prep.errors import InputError
from data_prep.series import file_name

_TABLE = "; who is healthy in a table is named by column and word, such as group=CTRL"


@dataclass(frozen=True, kw_only=True)
class Classes:
    """Which folders hold whom.

    Args:
        healthy: names of the folders of healthy cases.
        abnormal: of abnormal ones.
        masks: name of the folder with the masks of what is abnormal, called as their images are, or with `_mask` or
            `_seg` behind; where it begins with `_`, the end of the names of masks that lie beside their images.
    """

    healthy: tuple[str, ...]
    abnormal: tuple[str, ...] = ()
    masks: str | None = None

    def cases(self, folder: Path, files: Sequence[str]) -> Iterator[Found]:
        """The cases among `files`, paths below `folder`; a patient a file.

        Raises:
            InputError: BAD_DATALIST where a folder that was named holds no image, or a mask belongs to none.
        """
        masks = {file for file in files if self._is_mask(file)}
        images = [(file, self._class_of(file)) for file in files if file not in masks]
        images = [(file, name) for file, name in images if name]
        for name in (*self.healthy, *self.abnormal):
            if not any(found == name for _, found in images):
                there = ", ".join(sorted({part for file in files for part in PurePosixPath(file).parts[:-1]})) or "none"
                raise InputError(
                    folder, "BAD_DATALIST", f"there is no image in a folder {name}, but there is {there}{_TABLE}"
                )
        used, names = set(), Counter(file_name(file) for file, _ in images)
        for file, name in images:
            label = self._mask_of(file, masks)
            used.add(label)
            yield Found(
                name=file_name(file),
                image=folder / file,
                patient=_patient(file, alone=names[file_name(file)] == 1),
                label=None if label is None else folder / label,
                healthy=None if name in self.healthy else False,
            )
        if stray := sorted(masks - used):
            reason = f"{len(stray)} masks belong to no image, such as {stray[0]}"
            raise InputError(folder, "BAD_DATALIST", reason)

    def _class_of(self, file: str) -> str:
        """The innermost folder of a file that was named."""
        named = {name.casefold(): name for name in (*self.healthy, *self.abnormal)}
        parts = PurePosixPath(file).parts[:-1]
        return next((named[part.casefold()] for part in reversed(parts) if part.casefold() in named), "")

    def _is_mask(self, file: str) -> bool:
        if self.masks is None:
            return False
        if self.masks.startswith("_"):
            return file_name(file).casefold().endswith(self.masks.casefold())
        return any(part.casefold() == self.masks.casefold() for part in PurePosixPath(file).parts[:-1])

    def _mask_of(self, file: str, masks: set[str]) -> str | None:
        """The mask of an image; of several of one name the one whose folders are most like the image's."""
        if self.masks is None:
            return None
        path, stem = PurePosixPath(file), file_name(file).casefold()
        if self.masks.startswith("_"):
            names = {stem + self.masks.casefold()}
            found = [mask for mask in masks if PurePosixPath(mask).parent == path.parent]
        else:
            names, found = {stem, f"{stem}_mask", f"{stem}_seg"}, list(masks)
        found = [mask for mask in found if file_name(mask).casefold() in names]
        folders = set(path.parts[:-1])
        return max(found, key=lambda mask: (len(folders & set(PurePosixPath(mask).parts)), mask), default=None)


def _patient(file: str, *, alone: bool) -> str:
    """The file's name, with its folders where another one is called the same."""
    name = file_name(file)
    return name if alone else str(PurePosixPath(file).with_name(name))
