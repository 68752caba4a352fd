"""The programs of the zoo: faulty ones with their repaired twins, and healthy ones."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

ZOO: Final = Path(__file__).parents[2] / "zoo"
CLASSES: Final = (
    "loss or activation",
    "training operation",
    "cut graph",
    "hyper-parameters",
    "initialization or loading",
    "evaluation",
    "data",
    "batch norm or dropout",
    "sequences or masks",
    "precision",
    "schedule",
    "metric",
)
TASKS: Final = (
    "images",
    "table",
    "text",
    "time series",
    "sequence to sequence",
    "GAN",
    "VAE",
    "RL",
    "contrastive",
    "diffusion",
    "graph",
    "fine-tuning",
    "multi-task",
)
STYLES: Final = (
    "module level",
    "trainer class",
    "functions",
    "closure",
    "hand-made batches",
    "functional loss",
    "hooks",
)
HALVES: Final = ("tune", "test")


@dataclass(frozen=True)
class Symptom:
    """How one sees that the training went wrong: the last number that a pattern finds in what the script prints."""

    metric: str
    """Regular expression with one group."""
    better: Literal["lower", "higher"]
    margin: float
    """The twin is better by at least this much."""

    def value(self, printed: str) -> float | None:
        """The number; None if the pattern found none."""
        found = re.findall(self.metric, printed)
        try:
            return float(found[-1]) if found else None
        except ValueError:
            return None

    def shown(self, faulty: float | None, repaired: float | None) -> bool:
        """The faulty training is worse than its twin. One without a finite number is worse than any."""
        if repaired is None or repaired != repaired:
            return False
        if faulty is None or faulty != faulty:
            return True
        gain = faulty - repaired if self.better == "lower" else repaired - faulty
        return gain >= self.margin


@dataclass(frozen=True)
class Program:
    """A script as the tool gets it. Its name says nothing of its fault."""

    name: str
    kind: Literal["faulty", "repaired", "healthy"]
    text: str
    half: str
    task: str
    style: str
    class_: str = ""
    causes: tuple[str, ...] = ()
    """Codes that name the cause: ours first, then those that a fair judge would also accept."""
    lines: frozenset[int] = frozenset()
    """Lines of the faulty script that are right."""
    why: str = ""
    symptom: Symptom | None = None


def programs(folder: Path = ZOO) -> Iterator[Program]:
    """All programs: each fault and its twin, then the healthy ones.

    Raises:
        ValueError: metadata that are not complete, or have a word that is not known; it names the file.
    """
    for file in sorted(folder.glob("faults/*/fault.toml")):
        yield from _fault(file)
    for file in sorted(folder.glob("healthy/*/program.toml")):
        data = _read(file, ("half", "task", "style", "why"))
        text = (file.parent / "train.py").read_text()
        yield Program(file.parent.name, "healthy", text, data["half"], data["task"], data["style"], why=data["why"])


def _fault(file: Path) -> Iterator[Program]:
    data = _read(file, ("half", "class", "task", "style", "causes", "why", "symptom"))
    if data["class"] not in CLASSES:
        raise ValueError(f"{file}: class {data['class']!r} is none of {', '.join(CLASSES)}")
    symptom = Symptom(**data["symptom"])
    faulty, repaired = ((file.parent / f"{kind}.py").read_text() for kind in ("faulty", "repaired"))
    lines = changed_lines(faulty, repaired) | set(data.get("lines", ()))
    shared = {"half": data["half"], "task": data["task"], "style": data["style"], "class_": data["class"]}
    yield Program(
        file.parent.name, "faulty", faulty, **shared, causes=tuple(data["causes"]), lines=frozenset(lines),
        why=data["why"], symptom=symptom,
    )  # fmt: skip
    yield Program(file.parent.name, "repaired", repaired, **shared, symptom=symptom)


def _read(file: Path, needed: tuple[str, ...]) -> dict[str, Any]:
    data = tomllib.loads(file.read_text())
    missing = [key for key in needed if key not in data]
    if missing:
        raise ValueError(f"{file} has no {', '.join(missing)}")
    for key, known in (("half", HALVES), ("task", TASKS), ("style", STYLES)):
        if data[key] not in known:
            raise ValueError(f"{file}: {key} {data[key]!r} is none of {', '.join(known)}")
    return data


def changed_lines(faulty: str, repaired: str) -> set[int]:
    """Lines of the faulty script that the repair changes or removes; where it only adds, those beside the addition."""
    lines = set()
    a, b = faulty.splitlines(), repaired.splitlines()
    for tag, start, end, _, _ in difflib.SequenceMatcher(a=a, b=b, autojunk=False).get_opcodes():
        if tag == "insert":
            lines |= {n for n in (start, start + 1) if 1 <= n <= len(a)}
        elif tag != "equal":
            lines |= set(range(start + 1, end + 1))
    return lines
