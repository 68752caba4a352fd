"""Of which code, and with which packages, a run is made. Only files are read: no process is started."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from flightcheck.recording.surroundings import Environment

_PACKAGES: Final = ("torch", "numpy", "torchvision", "torchaudio", "transformers", "lightning", "accelerate", "triton")
_VARIABLES: Final = (
    "CUBLAS_WORKSPACE_CONFIG", "CUDA_LAUNCH_BLOCKING", "CUDA_VISIBLE_DEVICES", "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE", "OMP_NUM_THREADS", "PYTHONHASHSEED", "PYTORCH_CUDA_ALLOC_CONF",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)  # fmt: skip
_LOCKS: Final = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pixi.lock", "conda-lock.yml")
_LISTS: Final = ("requirements*.txt", "environment*.yml", "environment*.yaml", "Dockerfile", "flake.lock")
_LARGEST_INDEX: Final = 8_000_000
_HIGHEST: Final = 6
"""Folders above the script in which a repository or a lock file is looked for."""


def environment_of(script: str | None) -> Environment:
    """What is known of the surroundings of a run. Never raises."""
    file = Path(script).absolute() if script else Path.cwd() / "-"
    folders = [file.parent, *file.parents[1:_HIGHEST]]
    root = next((f for f in folders if (f / ".git").exists()), None)
    commit = state = pinned = ""
    with suppress(Exception):
        if root is not None:
            commit, state = _git(root, file)
    with suppress(Exception):
        until = folders[: folders.index(root) + 1] if root is not None else folders[:1]
        pinned = next((name for f in until if (name := _pinning(f))), "")
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        packages={p: version for p in _PACKAGES if (version := _version(p))},
        variables={v: os.environ[v] for v in _VARIABLES if v in os.environ},
        pinned_by=pinned,
        repository=root is not None,
        commit=commit,
        script=state,
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except Exception:  # not installed, or installed without its metadata
        return ""


def _pinning(folder: Path) -> str:
    """The file in a folder that names exact versions."""
    for name in _LOCKS:
        if (folder / name).is_file():
            return name
    for pattern in _LISTS:
        for file in sorted(folder.glob(pattern))[:4]:
            if re.search(r"\w==?\d|@sha256:", file.read_text(errors="replace")[:20_000]):
                return file.name
    return ""


def _git(root: Path, script: Path) -> tuple[str, str]:
    """The commit that is checked out, and how the script stands to git's index."""
    folder = root / ".git"
    if folder.is_file():  # a worktree or a submodule
        folder = (root / folder.read_text().removeprefix("gitdir:").strip()).resolve()
    return _commit(folder), _state(folder / "index", script, script.resolve().relative_to(root.resolve()).as_posix())


def _commit(folder: Path) -> str:
    head = (folder / "HEAD").read_text().strip()
    if not head.startswith("ref:"):
        return head
    name = head.removeprefix("ref:").strip()
    common = folder / "commondir"
    shared = (folder / common.read_text().strip()).resolve() if common.is_file() else folder
    for place in (folder, shared):
        if (place / name).is_file():
            return (place / name).read_text().strip()
    packed = shared / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), "")


def _state(index: Path, script: Path, name: str) -> str:
    """``unchanged``, ``changed`` or ``untracked``; empty where the index is of a kind that is not read here."""
    if not script.is_file() or not index.is_file() or index.stat().st_size > _LARGEST_INDEX:
        return ""
    data = index.read_bytes()
    signature, version, entries = struct.unpack(">4sII", data[:12])
    if signature != b"DIRC" or version not in (2, 3):
        return ""
    position, wanted = 12, name.encode()
    for _ in range(entries):
        digest = data[position + 40 : position + 60]
        flags = struct.unpack(">H", data[position + 60 : position + 62])[0]
        start = position + (64 if version == 3 and flags & 0x4000 else 62)
        end = data.index(b"\0", start)
        if data[start:end] == wanted:
            content = script.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).digest()
            return "unchanged" if blob == digest else "changed"
        position += (end - position + 8) // 8 * 8
    return "untracked"
