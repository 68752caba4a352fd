"""Is a fault a fault? Its symptom shows in the faulty training and not in its repaired twin."""

from __future__ import annotations

import functools
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.results import Results, environment
from benchmarks.zoo.programs import Program

SEEDS: Final = 5
ENOUGH: Final = 4
"""Seeds with the symptom; a fault that shows it more rarely is dropped."""
_RUNNER: Final = Path(__file__).with_name("seeded.py")
_LIMIT: Final = 300
"""Seconds for one training."""


def printed(text: str, offset: int) -> dict[str, Any]:
    """What a script prints without the tool, and its exit status; its seeds are raised by an offset."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train.py"
        script.write_text(text)
        done = subprocess.run(
            [sys.executable, str(_RUNNER), str(offset), str(script)],
            capture_output=True, text=True, cwd=folder, env=environment(), timeout=_LIMIT, check=False,
        )  # fmt: skip
    return {"stdout": done.stdout[-20_000:], "status": done.returncode, "stderr": done.stderr[-500:]}


def values(program: Program, results: Results) -> list[float]:
    """The metric of each seed; NaN where a faulty script fails or does not print it.

    Raises:
        RuntimeError: a script that is not faulty fails, or does not print its metric.
    """
    assert program.symptom is not None, "faults and their twins have one"
    found = []
    for offset in range(SEEDS):
        made = results.get(f"seed +{offset}\n{program.text}", functools.partial(printed, program.text, offset))
        value = program.symptom.value(made["stdout"])
        if program.kind == "repaired" and (made["status"] or value is None):
            raise RuntimeError(f"{program.name}: the repaired twin does not print its metric: {made['stderr']}")
        found.append(math.nan if value is None else value)
    return found


def seeds_with_symptom(faulty: Program, repaired: Program, results: Results) -> int:
    """Seeds in which the faulty training shows the symptom and the repaired one does not."""
    assert faulty.symptom is not None, "faults have one"
    pairs = zip(values(faulty, results), values(repaired, results), strict=True)
    return sum(faulty.symptom.shown(one, other) for one, other in pairs)
