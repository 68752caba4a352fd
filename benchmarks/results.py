"""Results kept on the disk, so that a benchmark that was cut off goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "build" / "benchmarks"


class Results:
    """One JSON file for each result, named by what was run."""

    def __init__(self, name: str, fresh: bool = False) -> None:
        self.folder = FOLDER / name
        self.fresh = fresh
        self.made: set[str] = set()
        self.reused = 0
        self.folder.mkdir(parents=True, exist_ok=True)

    def has(self, key: str) -> bool:
        """There is a result."""
        return (self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json").is_file()

    def get(self, key: str, make: Callable[[], Any]) -> Any:
        """The result that is there, else a new one. Results that are not fresh are of an earlier call."""
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        file = self.folder / f"{name}.json"
        if file.is_file() and not (self.fresh and name not in self.made):
            self.reused += name not in self.made
            return json.loads(file.read_text())
        result = make()
        part = file.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(result))
        part.replace(file)
        self.made.add(name)
        return result


def environment() -> dict[str, str]:
    """The environment of a program under measurement: one thread, so that two may run side by side."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
