"""Public training scripts under observation: do they run as before, and does a healthy one hear nothing?

    python tools/field_test.py LIST.json [--seconds 30] [--names a,b] > docs/field-tests.md

LIST.json is a list of ``{"name", "repo", "commit", "cwd", "command", "seconds_plain", "env"}``: scripts that lie on
this disk, each with the folder it runs in and its command line without ``python``. Each is run by
``flightcheck check``; those that end by themselves within --seconds are also run twice alone and once by
``flightcheck run``, and what they print is compared, numbers that are times left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

TIMES = re.compile(
    r"(\d+(\.\d+)?\s*(ms|s\b|sec|seconds|it/s|s/it|steps/s|min))|(time\S*\s*\S*\d[\d.:]*)|SPS:?\s*\d+|ms/batch\s+[\d.]+",
    re.IGNORECASE,
)


def run(entry: dict[str, Any], *prefix: str, limit: float = 240.0) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a script, alone or behind a prefix of ours."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **(entry.get("env") or {})}
    command = [sys.executable, *prefix, *entry["command"]]
    try:
        done = subprocess.run(
            command,
            cwd=entry["cwd"],
            env=env,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return -1, "", "timeout"
    return done.returncode, TIMES.sub("", done.stdout), done.stderr


def compare(entry: dict[str, Any], runs: str) -> str:
    """Whether a whole run prints the same with and without us."""
    first, second = run(entry), run(entry)
    if first[0] != 0:
        return "does not run alone"
    watched = run(entry, "-m", "flightcheck", "run", "--quiet", "--fail-on", "never", "--runs-dir", runs)
    if watched[0] != 0:
        return f"**exit status {watched[0]}**"
    if watched[1] == first[1]:
        return "same output" if first[1].strip() else "prints nothing"
    return "differs between two runs alone, too (not seeded)" if first[1] != second[1] else "**output differs**"


def field_test(entry: dict[str, Any], seconds: float) -> str:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        check = run(entry, "-m", "flightcheck", "check", "--json", str(report), "--runs-dir", folder)
        if not report.is_file():
            return f"| {entry['name']} | {entry['repo']} | – | **no report**: {check[2][-200:]!r} | – |"
        data = json.loads(report.read_text())
        whole = entry.get("finished", True) and entry["seconds_plain"] <= seconds
        same = compare(entry, folder) if whole else "not compared (runs longer)"
    loud = [f for f in data["findings"] if f["severity"] != "info"]
    found = (
        "; ".join(f"{f['code']} {f['severity']}, line {(f['location'] or {}).get('line')}" for f in loud) or "nothing"
    )
    broken = [*data["verdicts"]["error"], *(b for b in data["coverage"]["blind"] if "errors of Flightcheck" in b)]
    found += f"; **{broken}**" if broken else ""
    return f"| {entry['name']} | {entry['repo']} | {data['run']['steps']} | {found} | {same} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("list", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--names", default="")
    args = parser.parse_args()
    entries = [e for e in json.loads(args.list.read_text()) if not args.names or e["name"] in args.names.split(",")]
    print("| script | repository | steps watched | findings of warn or above | whole run, with and without |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    with ThreadPoolExecutor(2) as pool:
        for row in pool.map(lambda e: field_test(e, args.seconds), entries):
            print(row, flush=True)


if __name__ == "__main__":
    main()
