"""Is there a script or module of this name, and is it Python? Asked before anything of it is run."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from flightcheck.errors import UsageError


def require_script(name: str) -> None:
    """Accept a file with Python source, or a folder or zip file that holds a ``__main__``.

    Raises:
        UsageError: there is no such thing, or it has a syntax error.
    """
    path = Path(name)
    try:
        if path.is_dir():
            inner = path / "__main__.py"
            if not inner.is_file():
                raise UsageError(f"{name}: is a folder without a __main__.py, so there is no script to run")
            require_source(inner)
        elif path.is_file():
            if not zipfile.is_zipfile(path):
                require_source(path)
        elif path.exists():
            raise UsageError(f"{name}: is neither a file nor a folder")
        else:
            near = path.with_name(path.name + ".py")
            hint = f"; did you mean {near}?" if near.is_file() else f" (current folder: {Path.cwd()})"
            raise UsageError(f"{name}: there is no such script{hint}")
    except (OSError, ValueError) as e:  # no permission, a name that no file can have
        raise UsageError(f"{name!r}: cannot be read ({e})") from e


def require_module(name: str) -> None:
    """Accept what ``python -m`` would, without importing anything.

    Raises:
        UsageError: there is no such module, or it has a syntax error.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        hint = f"; for a file: flightcheck check {name}" if name.endswith(".py") or "/" in name else ""
        raise UsageError(f"{name!r} is no name of a module{hint}")
    spec = _find(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = PathFinder.find_spec(f"{name}.__main__", list(spec.submodule_search_locations))
        if spec is None:
            raise UsageError(f"{name} is a package without a __main__ module, so there is nothing to run")
    if spec is None:
        raise UsageError(
            f"there is no module {name!r} in the current folder ({Path.cwd()}) or among installed packages"
        )
    if spec.origin is not None and spec.origin.endswith(".py") and Path(spec.origin).is_file():
        require_source(Path(spec.origin))


def require_source(path: Path) -> None:
    """Accept a file that compiles.

    Raises:
        UsageError: it does not; the message holds file, line and text.
    """
    source = path.read_bytes()
    if b"\0" in source:
        raise UsageError(f"{path}: is not Python source (it holds null bytes)")
    try:
        compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as e:
        line = f":{e.lineno}" if e.lineno else ""
        text = f"\n  {e.text.strip()}" if e.text and e.text.strip() else ""
        raise UsageError(f"{path}{line}: the script has a syntax error: {e.msg}{text}") from e
    except ValueError as e:
        raise UsageError(f"{path}: is not Python source ({e})") from e
    except (RecursionError, MemoryError) as e:
        raise UsageError(f"{path}: is too deeply nested to be compiled") from e


def _find(name: str) -> ModuleSpec | None:
    first, *rest = name.split(".")
    spec = PathFinder.find_spec(first, [str(Path.cwd()), *sys.path])
    if spec is None:
        try:
            spec = importlib.util.find_spec(first)  # editable installs bring their own finders
        except ValueError:
            return None
    full = first
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        full += f".{part}"
        spec = PathFinder.find_spec(full, list(spec.submodule_search_locations))
    return spec
