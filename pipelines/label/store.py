"""The folder of studies as MONAI Label keeps it, with every name checked before it becomes a path."""

from __future__ import annotations

import os
from typing import Any

from monailabel.datastore.local import LocalDatastore

from pipelines.label.checks import IMAGES, NameRefusedError, image_id, label_tag


class StudyFolder(LocalDatastore):
    """MONAI Label's folder of images and labels.

    The record that it keeps in the folder, `datastore_v2.json`, is data as well: entries with names that a client could
    not give are dropped, and its own folders' names are not taken from it.
    """

    def add_image(self, image_id_: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Copy an image in; raises `NameRefusedError`."""
        name, extension = self._to_id(os.path.basename(image_filename))
        _check(image_id_ or name, extension, IMAGES)
        return str(super().add_image(image_id_, image_filename, image_info))

    def save_label(self, image_id_: str, label_filename: str, tag: str, label_info: dict[str, Any]) -> str:
        """Copy a label in; raises `NameRefusedError`."""
        _, extension = self._to_id(os.path.basename(label_filename))
        _check(image_id_, extension, IMAGES)
        return str(super().save_label(image_id_, label_filename, label_tag(tag), label_info))

    def get_label_uri(self, label_id: str, tag: str) -> str:
        """Path of a label; raises `NameRefusedError`."""
        return str(super().get_label_uri(label_id, label_tag(tag)))

    def _init_from_datastore_file(self, throw_exception: bool = False) -> None:
        super()._init_from_datastore_file(throw_exception)
        record = self._datastore
        record.images_dir, record.labels_dir = "", "labels"  # as MONAI Label calls them
        record.objects = {name: entry for name, entry in record.objects.items() if _is_sound(name, entry)}


def _is_sound(name: str, entry: Any) -> bool:
    try:
        _check(name, entry.image.ext, IMAGES)
        for tag, label in entry.labels.items():
            _check(label_tag(tag), label.ext, IMAGES)
    except NameRefusedError:
        return False
    return True


def _check(name: str, extension: str, known: tuple[str, ...]) -> None:
    image_id(name)
    if extension not in known:
        msg = f"a file's name must end in one of {', '.join(known)}"
        raise NameRefusedError(msg)
