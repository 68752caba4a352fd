"""Settings of a training in the source: the line that declares one, and whether any line takes its value."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

from flightcheck.recording.provenance.source import Source, constant_of, last_name, line_of, read_source

_SHOWING: Final = {
    "print", "pprint", "info", "debug", "warning", "log", "write", "format", "dump", "dumps", "str", "repr",
    "add_hparams", "log_params", "log_hyperparams", "add_text", "isclose",
}  # fmt: skip
_TRACKER: Final = re.compile(r"^(wandb|mlflow|comet_ml|neptune|logging|logger|self\.logger)\b")
_WHOLE: Final = {"vars", "asdict", "setattr", "globals", "locals", "exec", "eval", "getattr", "replace"}
"""Functions that may take every setting at once, or one whose name is not written down."""


def declared_at(files: Iterable[str], name: str, kind: str) -> tuple[str, int] | None:
    """The only line that declares a setting.

    Args:
        files: the files of the script.
        name: its name as an attribute or key.
        kind: ``argparse``, ``dataclass`` or ``dict``.
    """
    try:
        sources = [s for f in files if (s := read_source(f)) is not None]
        found = {(s.path, line_of(n)) for s in sources for n in _declarations(s, name, kind)}
        return found.pop() if len(found) == 1 else None
    except Exception:  # the promise: odd sources have no answer, and are no error
        return None


def _declarations(source: Source, name: str, kind: str) -> Iterator[ast.AST]:
    for node in source.nodes:
        if kind == "argparse" and isinstance(node, ast.Call) and last_name(node.func) == "add_argument":
            dest = next((constant_of(k.value) for k in node.keywords if k.arg == "dest"), None)
            words = [str(constant_of(a)).lstrip("-").replace("-", "_") for a in node.args]
            if dest == name or (dest is None and name in words):
                yield node
        elif kind == "dict" and isinstance(node, ast.Dict):
            yield from (k for k in node.keys if k is not None and constant_of(k) == name)
        elif kind == "dict" and isinstance(node, ast.Call) and last_name(node.func) == "dict":
            yield from (k.value for k in node.keywords if k.arg == name)
        elif kind == "dataclass" and isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            yield from [node] * isinstance(source.parents.get(node), ast.ClassDef)


def is_taken(files: Iterable[str], name: str) -> bool:
    """A line of the script may use the value of a setting for something else than to show it. True in doubt."""
    try:
        sources = [read_source(f) for f in files]
        return any(s is None or any(_takes(s, node, name) for node in s.nodes) for s in sources)
    except Exception:  # as above
        return True


def _takes(source: Source, node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Name):
        taken = node.id == name and isinstance(node.ctx, ast.Load)
    elif isinstance(node, ast.Attribute):
        taken = node.attr == name  # or it is set there to something else
    elif isinstance(node, ast.Subscript):  # that of an optimizer's group is no setting
        taken = constant_of(node.slice) == name and "group" not in ast.unparse(node.value)
    elif isinstance(node, ast.Call):
        by_name = last_name(node.func) in ("get", "pop") and bool(node.args) and constant_of(node.args[0]) == name
        every = isinstance(node.func, ast.Attribute) and node.func.attr in ("items", "values", "__dict__")
        whole = last_name(node.func) in _WHOLE or every or any(k.arg is None for k in node.keywords)
        taken = by_name or whole or any(isinstance(a, ast.Starred) for a in node.args)
    else:
        taken = isinstance(node, ast.Dict) and None in node.keys
    return taken and not _shown(source, node)


def _shown(source: Source, node: ast.AST) -> bool:
    """The value is only printed, logged, asserted, or put into a name."""
    for parent in source.above(node):
        if isinstance(parent, ast.JoinedStr | ast.Assert):
            return True
        if isinstance(parent, ast.Call):
            if last_name(parent.func) in _SHOWING or _TRACKER.match(ast.unparse(parent.func)):
                return True
        elif isinstance(parent, ast.stmt):
            return False
    return False
