"""`flightcheck check` as a user calls it, and what its report says first."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.results import environment

LOUD = ("warn", "error", "critical")


class Done(NamedTuple):
    """A process that has ended."""

    returncode: int
    stdout: str
    stderr: str


def process(command: list[str], folder: Path) -> Done:
    """Run a command in a folder."""
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment(), timeout=900, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def check(
    text: str,
    arguments: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
    name: str = "train.py",
    run: Callable[[list[str], Path], Done] = process,
    *,
    mode: str = "check",
) -> dict[str, Any]:
    """Check a script, or `run` it; its findings of severity warn or above, the first root cause first, and what
    it printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        script, report = Path(folder) / name, Path(folder) / "report.json"
        script.write_text(text)
        command = [sys.executable, "-m", "flightcheck", mode, "--runs-dir", f"{folder}/runs", "--json", str(report)]
        start = time.monotonic()
        done = run([*command, *options, str(script), *arguments], Path(folder))
        seconds = time.monotonic() - start
        if not report.is_file():
            return _no_report(f"{done.returncode}: {done.stderr[-2000:]}", seconds)
        data = json.loads(report.read_text())
    findings = [f for f in data["findings"] if f["severity"] in LOUD]
    findings.sort(key=lambda f: (not f["root"], f["rank"] or 99))
    return {
        "findings": [
            {
                "code": f["code"],
                "severity": f["severity"],
                "root": f["root"],
                "trial": f["fix"]["trial"],
                "line": (f["location"] or {}).get("line") if _in(f, name) else None,
            }
            for f in findings
        ],
        "stdout": done.stdout[-2000:],
        "ended": data["run"]["ended"],
        "steps": data["run"]["steps"],
        "seconds": seconds,
        "broken": [entry["code"] for entry in data["verdicts"]["error"]],
    }


def _no_report(told: str, seconds: float) -> dict[str, Any]:
    """The tool crashed: a wrong answer to a faulty program, and an alarm on a healthy one."""
    crash = {"code": "no report", "severity": "critical", "root": True, "trial": None, "line": None}
    return {
        "findings": [crash], "stdout": told, "ended": "no report", "steps": 0, "seconds": seconds, "broken": [],
    }  # fmt: skip


def _in(finding: dict[str, Any], name: str) -> bool:
    return Path((finding["location"] or {}).get("file") or "").name == name
