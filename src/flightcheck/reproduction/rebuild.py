"""The code of a run as it was: out of git's commit and the recorded patch, out of the recorded copies, or untouched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flightcheck.recording.run import Run
from flightcheck.recording.starting_point import CodeState, Invocation, WorkingFolder
from flightcheck.recording.surroundings import SourceFile
from flightcheck.redaction import HIDDEN
from flightcheck.reproduction.workplace import Workplace
from flightcheck.tracking.git import GitError, apply, changed_since, check_out, has_commit, root_of
from flightcheck.tracking.starting_point import files_below

_MOST_FILES: Final = 2000
_MOST_NAMED: Final = 5


@dataclass
class Rebuilt:
    """What was done to have the code again."""

    told: list[str] = field(default_factory=list)
    """How, in sentences."""
    differences: list[str] = field(default_factory=list)
    """What is not as it was, in sentences."""


def rebuild(run: Run, started: Invocation, place: Workplace, repositories: list[Path]) -> Rebuilt:
    """Put the code of a run into a workplace.

    Args:
        run: the recorded run.
        started: how it was started.
        place: a copy of the working folder as it is today.
        repositories: folders in which the repository may be, beside the one that was recorded.
    """
    result = Rebuilt()
    folder = Path(started.folder)
    script = (folder / started.script) if started.script else None
    if script is not None:
        place.bring(script.parent)
    sources = {_original(f, script, folder): f for f in run.recorded(SourceFile)}
    today = {path: place.read(path) for path in sources}
    _from_git(run, place, repositories, result)
    _from_copies(sources, today, place, result)
    if sources and not result.told:
        result.told.append(f"the recorded copies of {_files(len(sources))}")
    return result


def _original(file: SourceFile, script: Path | None, folder: Path) -> Path:
    home = script.resolve().parent if script is not None else folder
    if script is not None and file.main:
        return script
    # A link on the way to the script is followed when paths are recorded; the copy knows the way that was given.
    given = script.parent if script is not None else folder
    path = home / file.path
    return given / path.relative_to(home) if path.is_relative_to(home) else path


# -- git --------------------------------------------------------------------------------------------------------------


def _from_git(run: Run, place: Workplace, repositories: list[Path], result: Rebuilt) -> None:
    states = run.recorded(CodeState)
    if not states or not states[0].commit:
        if states and states[0].unknown:
            result.differences.append(f"git could not be asked when the run began: {states[0].unknown}")
        return
    state = states[0]
    root = next(
        (r for r in (Path(state.root), *filter(None, map(root_of, repositories))) if _holds(r, state.commit)), None
    )
    short = state.commit[:12]
    if root is None:
        result.told.append(f"the recorded copies: no repository with commit {short} is at hand")
        return
    try:
        count = _lay_over(state, root, place, result)
    except (GitError, OSError) as e:
        result.differences.append(f"commit {short} could not be brought back ({e}); the recorded copies are used")
        return
    patch = f" and the recorded patch ({_files(len(state.changed))})" if state.changed else ""
    result.told.append(f"commit {short}{patch}; {_files(count)} not the same today" if count else
                       f"commit {short}{patch}, which is what lies there today")  # fmt: skip


def _holds(root: Path, commit: str) -> bool:
    return (root / ".git").exists() and has_commit(root, commit)


def _lay_over(state: CodeState, root: Path, place: Workplace, result: Rebuilt) -> int:
    """Bring tracked files to their recorded state; returns how many were another one."""
    status = changed_since(root, state.commit)
    names = list(dict.fromkeys([*status, *state.changed]))
    if len(names) > _MOST_FILES:
        raise GitError(f"{len(names)} files have changed since")
    tree = place.root / "tree"
    check_out(root, state.commit, names, tree)
    if state.patch:
        apply(state.patch, tree)
    count = 0
    for name in names:
        original, rebuilt = Path(state.root) / name, tree / name
        if name in state.left_out:
            count += _left_out(name, state, place, original, result)
            continue
        data = rebuilt.read_bytes() if rebuilt.is_file() else None
        if data == place.read(original):
            continue
        count += 1
        if data is None:
            place.remove(original)
        else:
            place.write(original, data)
    return count


def _left_out(name: str, state: CodeState, place: Workplace, original: Path, result: Rebuilt) -> int:
    """A changed file that the patch does not hold: what lies there today is all there is."""
    if not name.endswith(".py"):  # of imported modules the copies tell more
        there = "the file of today is used" if place.read(original) is not None else "there is none today"
        result.differences.append(f"{name}: its state is not recorded, because {state.left_out[name]}; {there}")
    return 0


# -- copies -----------------------------------------------------------------------------------------------------------


def _from_copies(
    sources: dict[Path, SourceFile], today: dict[Path, bytes | None], place: Workplace, result: Rebuilt
) -> None:
    """Every file that the run used, with its recorded content: the hash decides which source is right."""
    for path, file in sources.items():
        copy = file.text.encode()
        candidates = [place.read(path), copy, today[path]]
        right = next((c for c in candidates if c is not None and _digest(c) == file.digest), None)
        if right is not None:
            if right is not candidates[0]:
                place.write(path, right)
        elif file.text:
            place.write(path, copy)
            what = "a text that looks like a secret" if HIDDEN in file.text else "what is not UTF-8"
            result.differences.append(f"{file.path}: {what} was not recorded, and the file of today is another one")
        elif candidates[0] is None:
            result.differences.append(f"{file.path}: it was too large to be recorded, and is gone")
        else:
            result.differences.append(f"{file.path}: it was too large to be recorded, and is not the same today")
        if file.late:
            result.differences.append(f"{file.path}: it was written after the run began; what ran may be another text")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# -- files beside the code --------------------------------------------------------------------------------------------


def tidy(run: Run, place: Workplace, source: Path, result: Rebuilt) -> None:
    """Take away what was not there when the run began, such as its checkpoints, and note which files have changed.

    Args:
        run: the recorded run.
        place: a copy of `source`.
        source: the working folder today.
        result: is told.
    """
    found = run.recorded(WorkingFolder)
    if not found:
        return
    known, since, changed = found[0], [], []
    for file in [Path(e.path) for e in files_below(source) if e is not None]:
        name = file.relative_to(source).as_posix()
        if name.endswith(".py"):  # of code the copies tell more
            continue
        if name not in known.files:
            if known.complete:
                place.remove(place.recorded / name)
                since.append(name)
            continue
        size, time = known.files[name]
        status = file.stat()
        again = status.st_mtime != time and source == place.recorded  # a copy has times of its own
        if status.st_size != size or again:
            changed.append(name)
    gone = [n for n in known.files if not (source / n).is_file() and place.read(place.recorded / n) is None]
    if since:
        result.told.append(f"left out what was written since the run began: {_named(since)}")
    if changed:
        result.differences.append(f"written again since the run began: {_named(changed)}")
    if gone:
        result.differences.append(f"gone since the run began: {_named(gone)}")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"
