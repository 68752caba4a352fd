"""Runs a script in this process as Python itself would: as ``__main__``, with its own arguments and path."""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import pkgutil
import runpy
import sys
from pathlib import Path
from types import ModuleType, TracebackType


def run_as_main(script: str | None, module: str | None, arguments: list[str]) -> None:
    """Run a script file, folder or zip file, or a module as ``python -m`` does. Whatever it raises is passed on.

    Arguments, path and ``__main__`` stay the script's when it is over: its threads and ``atexit`` handlers live on.
    """
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    # Python's own start: runpy's public functions would take __main__ away at the end.
    run = runpy._run_module_as_main  # type: ignore[attr-defined]
    if module is not None:
        sys.argv = ["-m", *arguments]
        if not sys.flags.safe_path:
            _put_first(str(Path.cwd()))
        run(module)
        return
    assert script is not None
    sys.argv = [script, *arguments]
    file = script if Path(script).is_absolute() else f"{Path.cwd()}{os.sep}{script}"  # Python keeps ./ and ../ too
    if pkgutil.get_importer(file) is not None:  # a folder or a zip file
        _put_first(file)
        run("__main__", alter_argv=False)
        return
    if not sys.flags.safe_path:
        _put_first(str(Path(file).resolve().parent))
    main.__dict__.update(
        __file__=file, __spec__=None, __package__=None, __cached__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", file),
    )  # fmt: skip
    exec(compile(read(file), file, "exec", dont_inherit=True), main.__dict__)


def read(file: str) -> bytes:
    """The source of the script; a trial may change it here."""
    return Path(file).read_bytes()


def _put_first(folder: str) -> None:
    """In the place of the folder that Python put first in the path for us (it puts none in safe mode)."""
    if sys.flags.safe_path:
        sys.path.insert(0, folder)
    else:
        sys.path[0] = folder


def show(error: BaseException, package: str) -> None:
    """Print an uncaught exception as Python would, without the frames of files below `package`."""
    _strip(error, package)
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except BaseException as e:
        print("Error in sys.excepthook:", file=sys.stderr)
        _part(e, error)
        _strip(e, package)
        sys.__excepthook__(type(e), e, e.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, error.__traceback__)


def _part(later: BaseException, error: BaseException) -> None:
    """Python calls the hook when nothing is being handled: what it raises does not follow the error."""
    link: BaseException | None = later
    while link is not None:
        if link.__context__ is error:
            link.__context__ = None
        link = link.__context__


def _strip(error: BaseException, package: str) -> None:
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        e = todo.pop()
        if e is None or id(e) in seen:
            continue
        seen.add(id(e))
        e.__traceback__ = _without(e.__traceback__, package)
        todo += [e.__cause__, e.__context__]
        if isinstance(e, BaseExceptionGroup):
            todo += e.exceptions


def _without(traceback: TracebackType | None, package: str) -> TracebackType | None:
    entries = []
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(package):
            entries.append(traceback)
        traceback = traceback.tb_next
    kept = None
    for entry in reversed(entries):
        kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept
