"""``python -m flightcheck.trial.repetition``: a recorded run once more, from the same start, in a copy of its folder.

Its task comes as one JSON object on stdin; what became of it goes to the file that the task names.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from flightcheck.options import Replay, WatchOptions


def repeat(task: dict[str, Any]) -> dict[str, Any]:
    """Run a script again in this process, which must end after it.

    Args:
        task: ``folder`` (of the new run), ``cwd`` (a copy of the folder in which the script was started), ``script``,
            ``module``, ``arguments``, ``mode``, ``steps`` (None: to its own end), ``threads`` (0: as it is), ``seed``
            (0: the recorded random numbers, from ``states`` and ``entropies``; above 0: others), ``writable`` (folders
            in which the script may write), ``moved`` (original folder and its copy).

    Returns:
        ``exit_code``, and ``refused``: why the script was broken off to protect files, empty if it was not.
    """
    import torch

    from flightcheck.session import watch_into
    from flightcheck.trial import seeds
    from flightcheck.trial.guard import Guard

    os.chdir(task["cwd"])
    if task["threads"]:
        torch.set_num_threads(int(task["threads"]))
    folder, temporary = Path(task["folder"]), Path(task["cwd"]) / ".tmp"
    temporary.mkdir(exist_ok=True)
    os.environ |= {"TMPDIR": str(temporary), "MPLCONFIGDIR": str(temporary), "MPLBACKEND": "Agg",
                   "WANDB_MODE": "disabled"}  # fmt: skip
    tempfile.tempdir = str(temporary)
    sys.path[:] = [_moved(entry, task["moved"]) for entry in sys.path]
    refused: list[str] = []
    Guard([folder, *map(Path, task["writable"])], refused.append).install()
    if task["seed"]:
        seeds.fix(int(task["seed"]))
    again = Replay() if task["seed"] else Replay(task["states"], task["entropies"])
    done = watch_into(
        folder,
        WatchOptions(
            script=task["script"], module=task["module"], arguments=task["arguments"], mode=task["mode"],
            steps=task["steps"], seconds=None, replay=again,
        ),
    )  # fmt: skip
    return {"exit_code": done.exit_code, "refused": refused[0] if refused else ""}


def _moved(entry: str, moved: dict[str, str]) -> str:
    """An entry of Python's path, in the copy of the folder in which it lies."""
    for original, copy in moved.items():
        if entry == original or entry.startswith(original + os.sep):
            there = copy + entry[len(original) :]
            return there if Path(there).exists() else entry
    return entry


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    answer = repeat(given)
    with Path(given["answer"]).open("w", encoding="utf-8") as file:
        json.dump(answer, file)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)  # threads of the script may live on
