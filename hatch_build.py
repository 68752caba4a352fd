"""Builds the native statistics with the wheel: one shared library, for every Python and every PyTorch.

Without a C++ compiler the wheel has no library, and Flightcheck computes the same numbers with PyTorch.
``python hatch_build.py`` builds it in place.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, where hatchling is not installed
    BuildHookInterface = object  # type: ignore[assignment, misc]

FOLDER = Path(__file__).parent / "src" / "flightcheck" / "adapters" / "torch" / "native"
SOURCE, LIBRARY = FOLDER / "kernel.cpp", FOLDER / "_kernel.so"
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-Wno-psabi", "-Wno-unknown-warning-option")
SECONDS = 300


def compile_library(library: Path = LIBRARY) -> str:
    """Compile; an empty text, or the reason why there is no library."""
    compilers = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    reason = "no C++ compiler was found"
    for compiler in compilers:
        command = shlex.split(compiler)
        if not command or shutil.which(command[0]) is None:
            continue
        # The second try: where functions cannot be chosen by processor when the library is loaded.
        for extra in ((), ("-DFLIGHTCHECK_BASELINE",)):
            reason = _compiled([*command, *FLAGS, *extra], library)
            if not reason:
                return ""
    return reason


def _compiled(command: list[str], library: Path) -> str:
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / library.name
        try:
            done = subprocess.run(
                [*command, str(SOURCE), "-o", str(made)], capture_output=True, text=True, check=False, timeout=SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as e:
            return f"{command[0]}: {e}"
        if done.returncode or not made.is_file():
            return f"{command[0]}: {(done.stderr.strip().splitlines() or ['failed'])[0]}"
        made.replace(library)  # a process that has the old one loaded keeps it
    return ""


class KernelHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the library to a wheel, and says in its name for which platform it is."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        reason = "not on Windows" if sys.platform == "win32" else compile_library()
        if reason:
            LIBRARY.unlink(missing_ok=True)  # one of another machine or of older source
            print(f"flightcheck: built without native statistics ({reason})", file=sys.stderr)
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(LIBRARY.relative_to(Path(self.root)).as_posix())


if __name__ == "__main__":
    problem = compile_library()
    sys.exit(f"native statistics were not built: {problem}" if problem else 0)
