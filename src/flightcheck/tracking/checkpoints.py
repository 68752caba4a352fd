"""The checkpoint of a run that is to get a name: which file it is, and whether it is still that run's."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any, Final

from flightcheck.errors import RunFileError, UsageError
from flightcheck.recording.run import Run
from flightcheck.recording.saved_weights import SavedWeights
from flightcheck.tracking.models import ModelVersion, sha256_of
from flightcheck.tracking.summary import RUN_FILE, read_summary

_LATER: Final = 30.0
"""Seconds between a run's start as it is recorded and the script's own, at most: packages are imported, git asked."""
_LOSSES: Final = ("loss", "evaluation_loss", "best_evaluation_loss")


def version_of(name: str, folder: Path, named: Path | None, stage: str) -> ModelVersion:
    """What is to be registered of a run; it has no number yet.

    Args:
        name: of the model.
        folder: of the run.
        named: the file; None for the one that the run saved last.
        stage: of the version.

    Raises:
        UsageError: the run saved no weights, or a file that was written again after it.
        RunFileError: the run, or the file, cannot be read.
    """
    run = Run.open(folder)
    saved = _saved(run, named) if named is not None else _last(run, folder)
    path = Path(saved.path) if saved is not None else named
    assert path is not None
    try:
        found = path.stat()
        digest = sha256_of(path)
    except OSError as e:
        more = (
            ""
            if named is not None
            else f", which {folder.name} saved; if it lies elsewhere now, name it with --checkpoint"
        )
        raise RunFileError(f"{path}: cannot be read ({e.strerror}){more}") from e
    if named is None and found.st_mtime > _end(run, folder):
        when = datetime.datetime.fromtimestamp(found.st_mtime).isoformat(" ", "seconds")
        raise UsageError(
            f"{path}: was written again at {when}, after {folder.name} was over: it may hold the weights of another "
            "training; to register it all the same, name it with --checkpoint"
        )
    step = saved.step if saved is not None else None
    return ModelVersion(
        name, 0, folder.name, str(path.absolute()), digest, found.st_size, step, stage, _metrics(folder)
    )


def _last(run: Run, folder: Path) -> SavedWeights:
    if not run.saved_weights:
        raise UsageError(
            f"{folder.name}: no torch.save of weights was seen in this run; name a file with --checkpoint FILE"
        )
    return max(run.saved_weights, key=lambda s: s.order)


def _saved(run: Run, named: Path) -> SavedWeights | None:
    """What the run tells of a file that is named."""
    return next((s for s in run.saved_weights if Path(s.path) == named.absolute()), None)


def _end(run: Run, folder: Path) -> float:
    """When the run was over, in seconds since 1970: not later than its file was written, nor than it took."""
    written = max(file.stat().st_mtime for file in folder.glob(f"{RUN_FILE}*")) + 1.0
    try:
        started = datetime.datetime.fromisoformat(run.info.started).timestamp()
    except ValueError:
        return written
    return min(written, started + _LATER + run.info.seconds) if run.info.ended != "running" else written


def _metrics(folder: Path) -> dict[str, float]:
    summary: dict[str, Any] = read_summary(folder) or {}
    told = {name: summary.get(name) for name in _LOSSES} | (summary.get("metrics") or {})
    return {n: float(v) for n, v in told.items() if isinstance(v, (int, float)) and math.isfinite(v)}
