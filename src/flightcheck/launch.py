"""Runs a script in this process as Python itself would: as ``__main__``, with its own arguments and path."""

from __future__ import annotations

import importlib.machinery
import runpy
import sys
from pathlib import Path
from types import ModuleType, TracebackType


def run_as_main(script: str | None, module: str | None, arguments: list[str]) -> None:
    """Run a script file or folder, or a module as ``python -m`` does. Whatever it raises is passed on."""
    if module is not None:
        sys.argv = [module, *arguments]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return
    assert script is not None
    sys.argv = [script, *arguments]
    path = Path(script).resolve()
    if path.is_dir():
        sys.path.insert(0, str(path))
        runpy.run_path(str(path), run_name="__main__")
        return
    sys.path.insert(0, str(path.parent))
    # Not runpy.run_path: the module must stay in sys.modules after the script's end, for atexit handlers and threads.
    main = ModuleType("__main__")
    main.__dict__.update(
        __file__=str(path), __spec__=None, __builtins__=__builtins__, __package__=None, __cached__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", str(path)),
    )  # fmt: skip
    sys.modules["__main__"] = main
    exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), main.__dict__)


def without_frames_of(package: str, traceback: TracebackType | None) -> TracebackType | None:
    """The traceback as the script alone would have it: without the frames of files below `package`."""
    if traceback is None:
        return None
    rest = without_frames_of(package, traceback.tb_next)
    file = traceback.tb_frame.f_code.co_filename
    if file.startswith((package, "<frozen runpy")):
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)
