"""Starts scripts plainly and under watch, and compares them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
WATCH = [sys.executable, "-m", "flightcheck"]


@dataclass
class Done:
    """A process that is over."""

    code: int
    out: str
    err: str

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter((self.code, self.out))


def run(command: list[str], cwd: Path, stdin: str = "", timeout: float = 120, **env: str) -> Done:
    """Run a command to its end."""
    done = subprocess.run(
        command, cwd=cwd, input=stdin.encode(), capture_output=True, timeout=timeout, check=False,
        env={**ENVIRONMENT, **env},
    )  # fmt: skip
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def plain(cwd: Path, *arguments: str, **options: str) -> Done:
    """``python arguments``."""
    return run([sys.executable, *arguments], cwd, **options)  # type: ignore[arg-type]


def watched(cwd: Path, *arguments: str, **options: str) -> Done:
    """``python -m flightcheck arguments``."""
    return run([*WATCH, *arguments], cwd, **options)  # type: ignore[arg-type]


class Server:
    """A process that has imported torch and forks one child for each command: a start costs nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forks.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )  # fmt: skip

    def run(self, cwd: Path, *arguments: str, stdin: str = "") -> Done:
        """As ``python arguments`` in `cwd`, where ``-m flightcheck`` may be the first two."""
        self._count += 1
        given, out, err = (self.folder / f"{self._count}.{name}" for name in ("in", "out", "err"))
        given.write_text(stdin)
        task = {"cwd": str(cwd), "arguments": arguments, "in": str(given), "out": str(out), "err": str(err)}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Done(code, out.read_text(), err.read_text())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
