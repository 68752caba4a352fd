"""The gates of `overhead_gates` hold in a process in which nothing else was watched: what others left would count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GATES = Path(__file__).with_name("overhead_gates.py")


def test_the_gates_hold() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(GATES)],
        cwd=GATES.parents[1], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
