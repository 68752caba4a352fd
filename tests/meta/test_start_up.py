"""Commands that only read start fast: without a framework, without what they do not need, in little processor time."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flightcheck.recording.records import RunInfo
from flightcheck.recording.store import RunWriter

LIMIT = 0.3
"""Seconds of processor time, of the interpreter's start too."""
IMPORT_LIMIT = 0.03
STARTS = 150
"""At most; the fastest counts. What else the machine does only adds: one and the same start takes 0.25 to 0.41 s on a
virtual machine, in phases of some seconds, and beside another test that needs the memory for longer."""
NEVER = {"torch", "scipy", "sklearn", "pandas", "matplotlib", "jinja2"}
READ = {
    "--help": (["--help"], {"numpy", "rich"}),
    "--version": (["--version"], {"numpy", "rich"}),
    "list": (["list"], {"numpy"}),
    "explain": (["explain", "L03"], {"numpy"}),
    "show": (["show", "--runs-dir", "runs"], set()),
}
"""Commands, and what they are not to import beside `NEVER`."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, and room for the bytecode that an installed package has."""
    made = tmp_path_factory.mktemp("start")
    writer = RunWriter(made / "runs" / "20260101-000000-abcdef")
    writer.put(RunInfo("20260101-000000-abcdef", "train.py", "train.py", "2026-01-01T00:00:00", steps=3, backwards=3))
    writer.close()
    return made


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "COVERAGE_PROCESS_START")
    }
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def processor_seconds(folder: Path, limit: float, *arguments: str) -> float:
    """The least of several starts, of which there are no more once one is below the limit; the first writes bytecode."""
    least = float("inf")
    for _ in range(STARTS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = python(folder, *arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if least < limit:
            break
    return least


def slowness() -> float:
    """How much slower than it should be this machine is now: programs beside us slow our clock down, too."""
    least = float("inf")
    for _ in range(5):
        start = time.process_time()
        sum(i * i for i in range(300_000))
        least = min(least, time.process_time() - start)
    return max(1.0, least / 0.025)


@pytest.mark.parametrize("name", list(READ))
def test_a_command_that_reads_takes_little_time(folder: Path, name: str) -> None:
    limit = LIMIT * slowness()
    assert processor_seconds(folder, limit, "-m", "flightcheck", *READ[name][0]) < limit


@pytest.mark.parametrize("name", list(READ))
def test_it_imports_no_framework(folder: Path, name: str) -> None:
    arguments, never = READ[name]
    program = (
        "import sys\nfrom flightcheck.cli.main import main\n"
        f"status = main({arguments!r})\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)\nsys.exit(status)"
    )
    done = python(folder, "-c", program)
    assert done.returncode == 0, done.stderr
    assert (NEVER | never).isdisjoint(done.stderr.split())


def test_the_package_is_imported_in_little_time(folder: Path) -> None:
    program = "import time\ns = time.process_time()\nimport flightcheck\nprint(time.process_time() - s)"
    least = min(float(python(folder, "-c", program).stdout) for _ in range(4))
    assert least < IMPORT_LIMIT * slowness()


def test_one_check_is_explained_without_the_others(folder: Path) -> None:
    program = (
        "import sys\nfrom flightcheck.cli.main import main\nmain(['explain', 'L03'])\n"
        "print(sum(m.startswith('flightcheck.checks.') and m.count('.') == 3 for m in sys.modules), file=sys.stderr)"
    )
    assert int(python(folder, "-c", program).stderr) <= 3
