"""``import flightcheck`` loads nothing but itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LOADED = """
import sys
before = set(sys.modules)
{what}
new = {{m.split(".")[0] for m in set(sys.modules) - before}}
print(sorted(new - set(sys.stdlib_module_names)))
"""


def loaded(what: str, folder: Path) -> list[str]:
    """Top-level packages outside the standard library that a statement loads, in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(what=what)], cwd=folder, capture_output=True, text=True, check=True
    )
    found: list[str] = eval(done.stdout)
    return found


def test_the_package(tmp_path: Path) -> None:
    assert loaded("import flightcheck", tmp_path) == ["flightcheck"]


@pytest.mark.parametrize(
    "module",
    [
        "flightcheck.errors",
        "flightcheck.options",
        "flightcheck.launch",
        "flightcheck.cli.main",
        "flightcheck.cli.runs",
    ],
)
def test_what_a_start_needs(tmp_path: Path, module: str) -> None:
    assert loaded(f"import {module}", tmp_path) == ["flightcheck"]


@pytest.mark.parametrize(
    "module", ["flightcheck.recording.store", "flightcheck.recording.run", "flightcheck.checks.registry"]
)
def test_recording_and_checks_need_numpy_alone(tmp_path: Path, module: str) -> None:
    found = loaded(f"import {module}; getattr({module}, 'all_checks', list)()", tmp_path)
    assert found == ["flightcheck", "numpy"]


def test_no_other_part_of_it(tmp_path: Path) -> None:
    code = "import sys, flightcheck\nprint([m for m in sys.modules if m.startswith('flightcheck')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "['flightcheck']\n"


def test_the_test_can_fail(tmp_path: Path) -> None:
    (tmp_path / "third_party.py").write_text("")
    assert loaded("import flightcheck, third_party", tmp_path) == ["flightcheck", "third_party"]
    assert "numpy" in loaded("import flightcheck.recording.store", tmp_path)
