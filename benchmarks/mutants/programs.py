"""Healthy programs that faults are put into, and how well a training of each went by what it prints."""

from __future__ import annotations

import functools
import math
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.mutants.forks import forked, seeded_script
from benchmarks.results import Results
from benchmarks.zoo.programs import Symptom, programs
from flightcheck.recording.printed import direction, is_of_unseen, numbers_in

OWN: Final = "its own"
_NAN: Final = re.compile(r"\bnan\b", re.IGNORECASE)
LIMIT: Final = 60
"""Seconds for one training without the tool."""
_SHARE: Final = 0.05
"""By so much a share (accuracy, R²) must be worse."""
_TIMES: Final = 1.2
"""By such a factor an error must be larger."""


@dataclass(frozen=True)
class Healthy:
    """A program without a fault."""

    name: str
    text: str
    symptom: Symptom | None
    """What the zoo measures of it, where it is the repaired twin of a fault."""


def healthy_programs() -> Iterator[Healthy]:
    """Repaired twins and healthy programs of the half that may be looked at."""
    for p in programs():
        if p.half == "tune" and p.kind != "faulty":
            yield Healthy(p.name, p.text, p.symptom)


@dataclass(frozen=True)
class Ending:
    """How a training without the tool ended."""

    stdout: str
    status: int
    seconds: float

    def number(self, program: Healthy, name: str = "") -> tuple[float, int, str] | None:
        """The last value of the program's own measure, whether more (1) or less (-1) is better, and its name.

        Of several, an accuracy or an error of unseen examples comes before one whose words do not say so. With a
        `name`, the one of that name.
        """
        if program.symptom is not None and (value := program.symptom.value(self.stdout)) is not None:
            return value, 1 if program.symptom.better == "higher" else -1, OWN
        text = _NAN.sub("1e999", self.stdout)  # a number like any other, and as bad as can be
        told = [(n, v) for line in text.splitlines() for n, v in numbers_in(line) if direction(n)]
        best = name or max((n for n, _ in told), key=lambda n: (is_of_unseen(n), direction(n)), default="")
        values = [v for n, v in told if n == best]
        return (values[-1], direction(best), best) if values else None


def ending(text: str, offset: int, results: Results) -> Ending:
    """Run a program alone, its seeds raised by an offset, or take the result that is there."""
    found = results.get(f"seed +{offset}\n{text}", functools.partial(_run, text, offset))
    return Ending(**found)


def _run(text: str, offset: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train.py"
        script.write_text(text)
        start = time.monotonic()
        try:
            done = forked(lambda: seeded_script(script, offset), Path(folder), LIMIT)
        except TimeoutError:
            return {"stdout": "", "status": -1, "seconds": float(LIMIT)}
    return {"stdout": done.stdout[-20_000:], "status": done.returncode, "seconds": time.monotonic() - start}


def harmed(program: Healthy, faulty: Ending, healthy: Ending) -> bool:
    """The mutant's number is measurably worse, or not finite."""
    before = healthy.number(program)
    if before is None or healthy.status or faulty.status:
        return False  # what ends with an error tells its line itself
    value, better, name = before
    after = faulty.number(program, name)
    if after is None:
        return False
    if not math.isfinite(after[0]):
        return True
    worse = (value - after[0]) * better
    if program.symptom is not None and name == OWN:
        return worse >= program.symptom.margin
    if better > 0:
        return worse > max(_SHARE, _SHARE * abs(value))
    return after[0] > (_TIMES * value if value > 0 else value + _SHARE)
