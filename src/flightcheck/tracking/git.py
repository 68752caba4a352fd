"""Asks git for the state of the code, and for files of an earlier one. It reads: nothing in the repository is written.

Git is run without its hooks and drivers, without a connection, with a limit on time and on what it may answer.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from flightcheck.recording.starting_point import CodeState
from flightcheck.redaction import redacted_text

_SECONDS: Final = 5.0
_REBUILD_SECONDS: Final = 120.0
_LARGEST_ANSWER: Final = 16_000_000
_LARGEST_FILE: Final = 200_000
"""Bytes of one file's part of the patch: generated files and notebooks with pictures are larger."""
_LARGEST_PATCH: Final = 1_000_000
_MOST_NAMES: Final = 1000
_QUIET: Final = (
    "-c", "core.fsmonitor=false", "-c", "core.quotePath=true", "-c", "filter.lfs.process=", "-c", "filter.lfs.smudge=",
    "-c", "filter.lfs.clean=", "-c", "filter.lfs.required=false", "-c", "core.hooksPath=/dev/null",
)  # fmt: skip
_DIFF: Final = (
    "diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/",
    "--submodule=short", "--abbrev=12",
)  # fmt: skip


class GitError(Exception):
    """Git is not there, took too long, or refused; the text says which."""


def root_of(folder: Path) -> Path | None:
    """The repository that a folder lies in."""
    return next((f for f in (folder, *folder.parents) if (f / ".git").exists()), None)


def code_state(folder: Path) -> CodeState | None:
    """Commit and changes of the repository around a folder; None without one. Never raises."""
    try:
        root = root_of(folder.absolute())
        if root is None:
            return None
        try:
            commit = git(root, "rev-parse", "--verify", "-q", "HEAD^{commit}").decode().strip()
        except GitError as e:
            return CodeState(str(root), unknown=str(e) or "there is no commit yet")
        branch = _branch(root)
        try:
            patch, left_out, changed = _patch(git(root, *_DIFF, "HEAD"))
        except GitError as e:
            return CodeState(str(root), commit, branch, unknown=str(e))
        return CodeState(str(root), commit, branch, changed, patch, left_out)
    except Exception as e:  # a name that cannot be decoded, a folder that is gone: recording goes on without
        return CodeState(unknown=f"{type(e).__name__}: {e}")


def _branch(root: Path) -> str:
    try:
        return git(root, "symbolic-ref", "-q", "--short", "HEAD").decode("utf-8", "replace").strip()
    except GitError:
        return ""


def _patch(diff: bytes) -> tuple[str, dict[str, str], list[str]]:
    """What is kept of a patch, what is left out of it and why, and the names of all files in it."""
    kept: list[str] = []
    left_out: dict[str, str] = {}
    changed: list[str] = []
    room = _LARGEST_PATCH
    for name, part in _parts(diff):
        if len(changed) < _MOST_NAMES:
            changed.append(name)
        why = ""
        text = ""
        if len(part) > min(_LARGEST_FILE, room):
            why = f"its changes are too large ({len(part) // 1000} kB)"
        elif b"\nBinary files " in part:
            why = "it is binary"
        elif re.search(rb"^[+-]Subproject commit ", part, re.MULTILINE):
            why = "it is a submodule"
        else:
            try:
                text = part.decode()
            except UnicodeDecodeError:
                why = "it is not UTF-8"
        if text and redacted_text(text) != text:
            why = "its lines hold what looks like a secret"
        if why:
            if len(left_out) < _MOST_NAMES:
                left_out[name] = why
            continue
        room -= len(part)
        kept.append(text)
    return "".join(kept), left_out, changed


def _parts(diff: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and text of each file's part of a patch."""
    for part in re.split(rb"^(?=diff --git )", diff, flags=re.MULTILINE):
        name = _name(part)
        if name:
            yield name, part


def _name(part: bytes) -> str:
    head = part.split(b"\n", 1)[0].decode("utf-8", "replace").removeprefix("diff --git ")
    if head.startswith('"'):  # quoted as in C, twice the same name
        found = re.match(r'"a/((?:[^"\\]|\\.)*)" ', head)
        if found is None:
            return ""
        raw = re.sub(rb"\\([0-7]{3}|.)", _unquoted, found[1].encode())
        return raw.decode("utf-8", "replace")
    half = (len(head) - 1) // 2  # without renames both halves are the same name
    return head[:half].removeprefix("a/")


def _unquoted(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if len(code) == 3:
        return bytes([int(code, 8)])
    return {b"n": b"\n", b"t": b"\t", b"r": b"\r"}.get(code, code)


# -- an earlier state -----------------------------------------------------------------------------------------------


def has_commit(root: Path, commit: str) -> bool:
    """The repository holds this commit."""
    try:
        git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except GitError:
        return False
    return True


def changed_since(root: Path, commit: str) -> dict[str, str]:
    """Tracked files whose content today is not that of a commit: ``A`` (not in the commit), ``M``, ``D`` or ``T``.

    Raises:
        GitError: git cannot tell.
    """
    words = git(root, *_DIFF, "--name-status", "-z", commit, seconds=_REBUILD_SECONDS).split(b"\0")
    return {os.fsdecode(name): status.decode()[:1] for status, name in zip(words[::2], words[1::2])}


def check_out(root: Path, commit: str, names: Iterable[str], target: Path) -> None:
    """Write files of a commit below a folder. The repository's own index and files stay as they are.

    Raises:
        GitError: git cannot do it.
    """
    target.mkdir(parents=True, exist_ok=True)
    index = target.parent / f".{target.name}.index"
    try:
        environment = {"GIT_INDEX_FILE": str(index)}
        git(root, "read-tree", commit, environment=environment, seconds=_REBUILD_SECONDS)
        known = set(git(root, "ls-files", "-z", environment=environment, seconds=_REBUILD_SECONDS).split(b"\0"))
        wanted = [n for n in map(os.fsencode, names) if n in known]
        if wanted:
            git(root, "checkout-index", "-f", f"--prefix={target}{os.sep}", "-z", "--stdin",
                environment=environment, given=b"\0".join(wanted) + b"\0", seconds=_REBUILD_SECONDS)  # fmt: skip
    finally:
        index.unlink(missing_ok=True)


def apply(patch: str, folder: Path) -> None:
    """Apply a patch to the files below a folder.

    Raises:
        GitError: it does not fit.
    """
    environment = {"GIT_CEILING_DIRECTORIES": str(folder.parent), "GIT_DIR": os.devnull}
    git(folder, "apply", "--whitespace=nowarn", "-", environment=environment, given=patch.encode())


def git(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None, given: bytes = b"",
    seconds: float = _SECONDS,
) -> bytes:  # fmt: skip
    """What git answers.

    Raises:
        GitError: it is not installed, takes longer than `seconds`, answers more than 16 MB, or fails.
    """
    try:
        done = _run(["git", *_QUIET, *arguments], folder, environment or {}, given, seconds)
    except FileNotFoundError as e:
        raise GitError("git is not installed") from e
    except subprocess.TimeoutExpired as e:
        raise GitError(f"git {arguments[0]} took more than {seconds:g} s") from e
    except OSError as e:
        raise GitError(f"git could not be started ({e.strerror})") from e
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitError(f"git {arguments[0]}: {told[-1] if told else f'status {done.returncode}'}")
    if len(done.stdout) > _LARGEST_ANSWER:
        raise GitError(f"git {arguments[0]} answered more than {_LARGEST_ANSWER // 1_000_000} MB")
    return done.stdout


def _run(
    command: Sequence[str], folder: Path, environment: dict[str, str], given: bytes, seconds: float
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, cwd=folder, input=given, capture_output=True, timeout=seconds, check=False,
        env={
            **os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "none", "GIT_LFS_SKIP_SMUDGE": "1", "GIT_PAGER": "cat", "LC_ALL": "C", **environment,
        },
    )  # fmt: skip
