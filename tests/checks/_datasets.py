"""A training and an evaluation loader as an adapter records them, for the tests of the data checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.records import LoaderInfo, Location

TRAIN_LINE = Location("train.py", 20, "", "train_loader = DataLoader(train_set, shuffle=True)")
VAL_LINE = Location("train.py", 21, "", "val_loader = DataLoader(val_set)")
LOADERS = [LoaderInfo(0, TRAIN_LINE), LoaderInfo(1, VAL_LINE)]


def train_set(**changes: Any) -> DatasetInfo:
    """The dataset that is trained on."""
    return replace(DatasetInfo(0, 0, type="Images", shared=0, trained=True), **changes)


def val_set(**changes: Any) -> DatasetInfo:
    """The dataset that is only evaluated."""
    return replace(DatasetInfo(1, 1, type="Images", shared=1, evaluated=True), **changes)
