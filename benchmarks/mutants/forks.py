"""Programs in forks of a process that has imported what nearly all of them import: a second instead of four.

The process that imports this module must stay single-threaded.
"""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.command import Done
from benchmarks.zoo.seeded import raised

_PRELOADED = [
    importlib.import_module(name)
    for name in (
        "sklearn.datasets", "sklearn.model_selection", "sklearn.preprocessing", "torch._dynamo", "torch.utils.data",
    )
]  # fmt: skip


def forked(action: Callable[[], int], folder: Path, limit: float) -> Done:
    """What an action does in a process of its own, in a folder.

    Raises:
        TimeoutError: it took longer than `limit` seconds and was ended.
    """
    out, err = folder.parent / f"{folder.name}.out", folder.parent / f"{folder.name}.err"
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        _child(action, folder, out, err)
    end = time.monotonic() + limit
    try:
        while True:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return Done(os.waitstatus_to_exitcode(status), out.read_text(), err.read_text())
            if time.monotonic() > end:
                os.killpg(process, signal.SIGKILL)
                os.waitpid(process, 0)
                raise TimeoutError
            time.sleep(0.02)
    finally:
        out.unlink(missing_ok=True)
        err.unlink(missing_ok=True)


def _child(action: Callable[[], int], folder: Path, out: Path, err: Path) -> None:
    status = 1
    try:
        os.setsid()
        os.chdir(folder)
        for path, number in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        torch.set_num_threads(1)
        status = action()
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else int(e.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def seeded_script(script: Path, offset: int) -> int:
    """Run a script as it is, its seeds raised by an offset."""
    torch.manual_seed = raised(torch.manual_seed, offset)
    sys.argv = [str(script)]
    sys.path[0] = str(script.parent)
    runpy.run_path(str(script), run_name="__main__")
    return 0


def tool(command: list[str], folder: Path) -> Done:
    """Run ``python -m flightcheck …``."""

    def action() -> int:
        from flightcheck.cli.main import main

        sys.path.insert(0, str(folder))
        return main(command[3:])

    return forked(action, folder, 900)
