"""Imports point one way (design, section 2)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import flightcheck

PACKAGE = Path(flightcheck.__file__).parent
LEAVES = {"errors", "frozen", "options", "version", "launch", "redaction"}
"""What everybody may import, and what imports nobody but each other."""
RECORDED = {"recording", "patch"}
JUDGED = RECORDED | {"checks"}
DIAGNOSED = JUDGED | {"diagnosis"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "frozen": set(),
    "options": set(),
    "version": set(),
    "launch": set(),
    "redaction": set(),
    "patch": set(),
    "recording": {"patch"},
    "checks": RECORDED,
    "diagnosis": JUDGED,
    "adapters": RECORDED,
    "lab": JUDGED,
    "views": RECORDED | {"adapters"},
    "testing": JUDGED,
    "report": DIAGNOSED | {"views"},
    "tracking": DIAGNOSED,
    "exporters": DIAGNOSED | {"report", "tracking", "views"},
    "live": DIAGNOSED | {"report"},
    "notebook": {"live"},
    "run_info": RECORDED | {"adapters"},
    "session": DIAGNOSED | {"notebook", "adapters", "report", "run_info", "tracking"},
    "viewing": RECORDED | {"adapters", "report", "session", "views"},
    "investigation": DIAGNOSED | {"lab"},
    "reproduction": DIAGNOSED | {"lab", "tracking"},
    "trial": {"session"},
    "in_process": DIAGNOSED | {"notebook", "adapters", "lab", "report", "run_info", "session", "investigation"},
    "cli": DIAGNOSED
    | {"lab", "report", "tracking", "exporters", "live", "session", "investigation", "reproduction", "viewing"},
    "pytest_plugin": DIAGNOSED | {"report", "session"},
    "__main__": {"cli"},
    "__init__": DIAGNOSED | {"report", "session", "in_process", "viewing"},
}


def imported(file: Path) -> Iterator[str]:
    """The modules of ours that a file imports anywhere: at its top, in functions, for type checkers."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "flightcheck")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            if (node.module or "").split(".")[0] == "flightcheck":
                for name in node.names:  # `from flightcheck import checks` imports the part
                    yield f"{node.module}.{name.name}" if node.module == "flightcheck" else str(node.module)


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def wrong(file: Path, part: str) -> list[str]:
    allowed = MAY_IMPORT[part] | LEAVES | {part}
    return [module for module in imported(file) if part_of(module) not in allowed]


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_direction(file: Path) -> None:
    relative = file.relative_to(PACKAGE)
    part = relative.parts[0].removesuffix(".py")
    assert part in MAY_IMPORT, f"{part}: say in this test what it may import"
    assert wrong(file, part) == []


def test_no_framework_outside_the_adapters() -> None:
    """Checks, diagnosis, lab and reports work on recorded runs of every framework; a trial is a process of one, and views
    are made of live models.
    """
    frameworks = ("torch", "jax", "flax", "keras", "tensorflow", "lightning", "transformers")
    found = []
    for file in FILES:
        if file.relative_to(PACKAGE).parts[0] in ("adapters", "trial", "session.py", "views"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            found += [f"{file.name}: {n}" for n in names if n.split(".")[0] in frameworks]
    assert found == []


def test_the_rules_have_no_circle() -> None:
    order: list[str] = []
    while len(order) < len(MAY_IMPORT):
        ready = [p for p, below in MAY_IMPORT.items() if p not in order and below <= {*order, *LEAVES}]
        assert ready, sorted(set(MAY_IMPORT) - set(order))
        order += ready


def test_the_test_can_fail(tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text("def f():\n    from flightcheck.session import watch\nfrom flightcheck import report\n")
    assert wrong(file, "checks") == ["flightcheck.report", "flightcheck.session"]
    assert wrong(file, "cli") == []
