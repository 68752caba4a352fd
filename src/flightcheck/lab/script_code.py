"""Is a diff code of the script: lines that stand there, and new ones in its own names? If not, words tell it better."""

from __future__ import annotations

import ast
import builtins
import linecache
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from flightcheck.lab.source_edits import parsed_line
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_MODULES: Final = {"nn": "torch.nn", "F": "torch.nn.functional"}
"""What a new line may call by a short name that the script does not have."""


def of_the_script(diff: str, sources: Sequence[str]) -> str:
    """The diff, if it is the script's own code; empty for one that holds comments only, or unknown names.

    Args:
        diff: lines with ``- `` and ``+ ``.
        sources: texts of the user's files. Without any, nothing can be said against the diff.
    """
    if not diff or not sources:
        return diff
    known = set(dir(builtins)).union(*(_names(s) for s in sources))
    told, new = [], set[str]()
    for line in diff.splitlines():
        sign, code = line[:2], line[2:]
        if sign == "- " and not any(code.strip() in s for s in sources):
            return ""
        if sign == "+ ":
            code = _in_own_names(code, known)
            parsed = parsed_line(code.strip()) if code.split("#")[0].strip() else None
            if parsed is None:
                return ""
            names = [n for n in ast.walk(parsed) if isinstance(n, ast.Name)]
            new |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
            if any(n.id not in known | new for n in names):
                return ""
        told.append(sign + code)
    return "\n".join(told)


def sources_of(run: Run) -> list[str]:
    """The texts of the user's files in which the training is written, as far as they can still be read."""
    files = {at.file for at in _locations(run) if at is not None}
    return [text for f in sorted(files) if (text := "".join(linecache.getlines(f)))]


def _locations(run: Run) -> Iterator[Location | None]:
    plan = run.plan
    yield from (plan.batch_location, plan.loss_location, plan.backward_location)
    yield from (m.location for m in run.modules)
    yield from (at for r in run.roots for at in (r.location, r.call_location))
    yield from (at for o in run.optimizers for at in (o.location, o.step_location, o.lr_location))
    yield from (at for s in run.loss_sites for at in (s.location, s.target_origin))
    yield from (b.origin for b in run.batches)


def _names(source: str) -> set[str]:
    """All that is given a name in a file: variables, arguments, functions, classes, imports."""
    try:
        nodes: Iterable[ast.AST] = ast.walk(ast.parse(source))
    except (SyntaxError, ValueError):
        return set(re.findall(r"[A-Za-z_]\w*", source))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
    return found


def _in_own_names(code: str, known: set[str]) -> str:
    for short, full in _MODULES.items():
        if short not in known and "torch" in known:
            code = re.sub(rf"(?<![\w.]){short}\.(?=\w)", f"{full}.", code)
    return code
