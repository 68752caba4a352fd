"""One trial, from its task to its recorded run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from flightcheck.options import WatchOptions
from flightcheck.session import watch_into
from flightcheck.trial import seeds
from flightcheck.trial.guard import Guard


def run_trial(task: dict[str, Any]) -> None:
    """Run a trial in this process, which must end after it.

    Args:
        task: ``folder`` (of the trial's run), ``cwd`` (its scratch folder), ``script``, ``module``, ``arguments``,
            ``patches`` (text forms), ``seed``, ``steps``, ``seconds``, ``threads``, ``evaluates`` (wait for an
            evaluation).
    """
    torch.set_num_threads(int(task["threads"]))
    folder, scratch = Path(task["folder"]), Path(task["cwd"])
    temporary = scratch / ".tmp"
    temporary.mkdir(exist_ok=True)
    os.environ |= {"TMPDIR": str(temporary), "MPLCONFIGDIR": str(temporary), "MPLBACKEND": "Agg",
                   "WANDB_MODE": "disabled", "PYTHONHASHSEED": "0"}  # fmt: skip
    tempfile.tempdir = str(temporary)
    refused: list[str] = []
    Guard([folder, scratch], refused.append).install()
    seeds.fix(int(task["seed"]))
    options = WatchOptions(
        script=task["script"], module=task["module"], arguments=task["arguments"], mode="trial",
        steps=task["steps"], seconds=task["seconds"], patches=tuple(task["patches"]), seed=int(task["seed"]),
        evaluates=bool(task["evaluates"]), refused=refused,
    )  # fmt: skip
    watch_into(folder, options)
