"""Copies of the code of a run, and the packages beside it. Only files are read: no process is started."""

from __future__ import annotations

import hashlib
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from flightcheck.recording.surroundings import Packages, SourceFile
from flightcheck.redaction import redacted_text

_OURS: Final = str(Path(__file__).parents[1])
_LARGEST_FILE: Final = 200_000
_LARGEST_SUM: Final = 2_000_000
_MOST_FILES: Final = 200
_INSTALLED: Final = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.(dist|egg)-info$")


def source_files(script: str | None, files: Iterable[str], began: float | None = None) -> Iterator[SourceFile]:
    """Copies of the user's files, the script first; those that cannot be read are left out.

    Args:
        script: the file that was run, if one was.
        files: all files of the user's code.
        began: time at which the run began; a file that was written later may not be what ran.
    """
    main = Path(script).resolve() if script else None
    folder = main.parent if main is not None else Path.cwd()
    several = dict.fromkeys([main] if main is not None else [])
    several.update(dict.fromkeys(sorted({Path(f).resolve() for f in files})))
    room = _LARGEST_SUM
    for file in list(several)[:_MOST_FILES]:
        try:
            data = file.read_bytes()
            late = began is not None and file.stat().st_mtime > began
        except OSError:  # a folder or an archive that was run, a file that is gone
            continue
        text = ""
        if len(data) <= min(_LARGEST_FILE, room):
            room -= len(data)
            text = redacted_text(data.decode("utf-8", "replace"))
        path = file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)
        yield SourceFile(path, hashlib.sha256(data).hexdigest(), text, main=file == main, late=late)


def user_modules(folders: tuple[str, ...]) -> list[str]:
    """Files of the modules that lie in these folders, and are part neither of Python, nor of an installed package, nor
    of ourselves.
    """
    others = (*(p for k, p in sysconfig.get_paths().items() if k.endswith(("lib", "stdlib"))), _OURS)
    found = set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.startswith(folders) or file.startswith(others):
            continue
        if not re.search(r"(site|dist)-packages", file):
            found.add(file)
    return sorted(found)


def packages() -> Packages:
    """What is installed, by the names of the metadata's folders, and what of it was imported."""
    installed: dict[str, str] = {}
    modules: dict[str, str] = {}
    for folder in dict.fromkeys(sys.path):
        try:
            names = sorted(p.name for p in Path(folder or ".").iterdir() if p.name.endswith("-info"))
        except OSError:
            continue
        for name in names:
            found = _INSTALLED.match(name)
            if found is not None and _plain(found["name"]) not in installed:
                installed[_plain(found["name"])] = found["version"]
                for module in _top_modules(Path(folder, name), found["name"]):
                    modules.setdefault(module, _plain(found["name"]))
    top = {name.partition(".")[0] for name in list(sys.modules)}
    return Packages(dict(sorted(installed.items())), sorted({modules[m] for m in top if m in modules}))


def _top_modules(folder: Path, name: str) -> list[str]:
    """Modules that a distribution brings, as far as its metadata tell in one small file; else its own name."""
    try:
        return (folder / "top_level.txt").read_text().split()
    except OSError:
        return [name.replace("-", "_"), name.replace("-", "_").lower(), *_OTHER_NAMES.get(_plain(name), ())]


_OTHER_NAMES: Final = {
    "scikit-learn": ("sklearn",), "pillow": ("PIL",), "opencv-python": ("cv2",), "pyyaml": ("yaml",),
    "opencv-python-headless": ("cv2",), "scikit-image": ("skimage",),
}  # fmt: skip


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
