"""What libraries say while a workflow runs, left out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_chatter() -> Iterator[None]:
    """Leave out what monai 1.6.1 says at every start: no logging file (asked for), no CUDA codec (not needed)."""
    loggers = [logging.getLogger(name) for name in ("monai.bundle.workflows", "monai.data.nvimgcodec_pydicom_plugin")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader", category=UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def without_step_lines() -> Iterator[None]:
    """Leave out the line that trainers log at every step: the progress bar says it. Warnings still come through."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
