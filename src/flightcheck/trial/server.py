"""``python -m flightcheck.trial.server``: starts trials as forks of itself, which have imported everything already.

Reads tasks from stdin, one JSON object per line, and writes ``{"id": …, "status": …}`` to stdout when one is over. The
process itself never computes anything: a fork after that may hang. Where forking is unsafe, a trial is a fresh process
(``--fresh``), which takes its single task from stdin.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_ALWAYS: Final = ("numpy", "torch", "torch.utils.data", "torch._dynamo", "flightcheck.adapters.torch.patching",
                  "flightcheck.trial.run")  # fmt: skip
"""``torch._dynamo`` is what the first ``zero_grad`` imports, for more than a second."""
_NEVER: Final = ("tensorflow", "jax", "jaxlib", "ray", "wandb", "IPython", "flightcheck.cli")
"""Start threads or connections on import; nobody may fork after that."""
_PAUSE: Final = 0.02


@dataclass
class Child:
    """A trial that runs."""

    id: int
    pid: int
    until: float


def serve(modules: list[str]) -> None:
    """Fork a trial for each line of stdin until stdin ends."""
    import_all([*_ALWAYS, *modules])
    forks = threading.active_count() == 1
    print(json.dumps({"ready": True, "forks": forks}), flush=True)
    children: list[Child] = []
    rest = b""
    open_ = True
    while open_ or children:
        if open_ and select.select([0], [], [], _PAUSE if children else None)[0]:
            read = os.read(0, 1 << 20)
            open_ = bool(read)
            *lines, rest = (rest + read).split(b"\n")
            children += [_start(json.loads(line), forks) for line in lines if line.strip()]
        elif children:
            time.sleep(0 if open_ else _PAUSE)
        children = [c for c in children if not _over(c)]


def import_all(modules: list[str]) -> None:
    """Import what trials will need; what cannot be imported alone is left to the script."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    saved = os.dup(1)
    os.dup2(devnull, 1)  # stdout is the line to our parent
    try:
        for name in modules:
            if not name.startswith(_NEVER):
                with suppress(BaseException):
                    importlib.import_module(name)
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(devnull)


def _start(task: dict[str, Any], forks: bool) -> Child:
    until = time.monotonic() + float(task["limit"])
    if forks:
        pid = os.fork()
        if pid == 0:
            become(task)
        return Child(task["id"], pid, until)
    process = subprocess.Popen(
        [sys.executable, "-m", "flightcheck.trial.server", "--fresh"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(task).encode())
    process.stdin.close()
    return Child(task["id"], process.pid, until)


def _over(child: Child) -> bool:
    done, status = os.waitpid(child.pid, os.WNOHANG)
    killed = not done and time.monotonic() > child.until
    if killed:
        for kill in (os.killpg, os.kill):  # its loaders' workers, too
            with suppress(OSError):
                kill(child.pid, signal.SIGKILL)
        _, status = os.waitpid(child.pid, 0)
    if not done and not killed:
        return False
    if killed:
        answer = {"id": child.id, "status": "timeout"}
    else:
        answer = {"id": child.id, "status": "done" if os.waitstatus_to_exitcode(status) == 0 else "died"}
    with suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)  # what it left behind
    print(json.dumps(answer), flush=True)
    return True


def become(task: dict[str, Any]) -> None:
    """Be a trial, up to the end of the process."""
    status = 1
    try:
        with suppress(OSError):
            os.setsid()
        folder = Path(task["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        devnull = os.open(os.devnull, os.O_RDWR)
        errors = os.open(folder / "stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for source, number in ((devnull, 0), (devnull, 1), (errors, 2)):
            os.dup2(source, number)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        os.chdir(task["cwd"])
        from flightcheck.trial.run import run_trial

        run_trial(task)
        status = 0
    except BaseException:
        if os.environ.get("FLIGHTCHECK_DEBUG"):
            import traceback

            traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    if sys.argv[1:] == ["--fresh"]:
        fresh = json.loads(sys.stdin.read())
        import_all(list(_ALWAYS))
        become(fresh)
    else:
        serve(json.loads(sys.stdin.readline()))
