"""The registry: names for checkpoints of runs, each with versions, their stages, and how well they did.

One file in the runs folder, a line of JSON for each thing that happened, in order: a version was added, a version got a
stage. Lines are only ever added, under a lock, so that several processes lose nothing and a line that was torn off by
a full disk costs no other.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Final

from flightcheck.errors import RunFileError, UsageError
from flightcheck.frozen import frozen
from flightcheck.tracking.locking import alone

REGISTRY_FILE: Final = "models.jsonl"
NO_STAGE: Final = "none"
_WORD: Final = re.compile(r"[\w.:+@-]+")


@frozen
class ModelVersion:
    """A checkpoint with a name and a number."""

    name: str
    version: int
    run: str
    """The id of the run that saved it."""
    checkpoint: str
    """The file's absolute path when it was registered; the registry holds no copy."""
    sha256: str
    size: int
    """In bytes."""
    step: int | None = None
    """Rounds of training that were over when it was written; None where the run does not tell."""
    stage: str = NO_STAGE
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the run, as they were at its end."""
    added: str = ""
    """When it was registered."""

    def state(self) -> str:
        """What has become of the file, at a glance: empty, ``missing``, or ``changed`` (it has another size)."""
        try:
            return "" if Path(self.checkpoint).stat().st_size == self.size else "changed"
        except OSError:
            return "missing"


def read_models(runs_dir: Path) -> list[ModelVersion]:
    """All versions with the stage that each has now, in the order in which they were added.

    Raises:
        RunFileError: the registry cannot be read.
    """
    found: dict[tuple[str, int], ModelVersion] = {}
    for told in _lines(runs_dir / REGISTRY_FILE):
        try:
            key = str(told["name"]), int(told["version"])
            if "run" in told:
                found[key] = ModelVersion(**{k: v for k, v in told.items() if k in _FIELDS})
            elif key in found:
                found[key] = replace(found[key], stage=str(told["stage"]))
        except (KeyError, TypeError, ValueError):  # of a newer version, or damaged: the others are still there
            continue
    return list(found.values())


def add_model(runs_dir: Path, made: ModelVersion) -> ModelVersion:
    """Register a checkpoint under the next number of its name; returns it with that number.

    Raises:
        UsageError: its name or its stage is none.
        RunFileError: the registry cannot be written.
    """
    _require_word(made.name, "name of a model")
    _require_word(made.stage, "stage")

    def line(known: list[ModelVersion]) -> tuple[dict[str, Any], ModelVersion]:
        last = max((m.version for m in known if m.name == made.name), default=0)
        numbered = replace(made, version=last + 1, added=_now())
        return vars(numbered), numbered

    return _append(runs_dir, line)


def set_stage(runs_dir: Path, name: str, version: int, stage: str) -> ModelVersion:
    """Give a version another stage; returns it as it is now.

    Raises:
        UsageError: there is no such version, or the stage is none.
        RunFileError: the registry cannot be written.
    """
    _require_word(stage, "stage")

    def line(known: list[ModelVersion]) -> tuple[dict[str, Any], ModelVersion]:
        of_name = [m for m in known if m.name == name]
        if not of_name:
            names = ", ".join(sorted({m.name for m in known})) or "none is registered"
            raise UsageError(f"there is no model {name!r} in {runs_dir / REGISTRY_FILE} ({names})")
        found = next((m for m in of_name if m.version == version), None)
        if found is None:
            raise UsageError(f"{name}: there is no version {version}; the last is {of_name[-1].version}")
        return {"name": name, "version": version, "stage": stage, "at": _now()}, replace(found, stage=stage)

    return _append(runs_dir, line)


def sha256_of(file: Path) -> str:
    """The hash of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_FIELDS: Final = frozenset(ModelVersion.__dataclass_fields__)


def _append(runs_dir: Path, line: Callable[[list[ModelVersion]], tuple[dict[str, Any], ModelVersion]]) -> ModelVersion:
    """Add what `line` makes of what is registered; nobody else adds anything in between."""
    file = runs_dir / REGISTRY_FILE
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        with alone(file):
            told, version = line(read_models(runs_dir))
            text = json.dumps(told, separators=(",", ":"), allow_nan=False) + "\n"
            with file.open("ab+") as stream:
                if stream.tell() and _torn(stream):
                    text = "\n" + text
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
    except OSError as e:
        raise RunFileError(f"{file}: cannot be written ({e.strerror})") from e
    return version


def _torn(stream: Any) -> bool:
    """The last line has no end: whoever wrote it could not finish."""
    stream.seek(-1, os.SEEK_END)
    return bool(stream.read(1) != b"\n")


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return
    except OSError as e:
        raise RunFileError(f"{file}: cannot be read ({e.strerror})") from e
    for line in text.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict):
            yield told


def _require_word(text: str, what: str) -> None:
    if not _WORD.fullmatch(text):
        raise UsageError(f"{text!r} is no {what}: letters, digits and . : + @ - _ are allowed, no blanks")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
