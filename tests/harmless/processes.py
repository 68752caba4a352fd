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
    """Processes that have imported torch, and for the watched commands Flightcheck, and fork one child for each command:
    a start costs nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        self._processes: dict[bool, subprocess.Popen[str]] = {}

    def run(self, cwd: Path, *arguments: str, stdin: str = "", **env: str) -> Done:
        """As ``python arguments`` in `cwd`, where ``-m flightcheck`` may be the first two."""
        self._count += 1
        given, out, err = (self.folder / f"{self._count}.{name}" for name in ("in", "out", "err"))
        given.write_text(stdin)
        task = {"cwd": str(cwd), "arguments": arguments, "in": str(given), "out": str(out), "err": str(err)}
        process = self._process(arguments[:2] == ("-m", "flightcheck"))
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps({**task, "environment": env}) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        return Done(code, out.read_text(), err.read_text())

    def watched(self, cwd: Path, *arguments: str, **env: str) -> Done:
        """As ``python -m flightcheck arguments``."""
        return self.run(cwd, "-m", "flightcheck", *arguments, **env)

    def _process(self, watched: bool) -> subprocess.Popen[str]:
        if watched not in self._processes:
            command = [sys.executable, str(Path(__file__).with_name("forks.py")), *["--flightcheck"] * watched]
            self._processes[watched] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
            )
        return self._processes[watched]

    def close(self) -> None:
        """End the processes."""
        for process in self._processes.values():
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            process.wait(30)
            process.stdout.close()
