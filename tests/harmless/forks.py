"""A process behind `processes.Server`. Never computes anything itself: a fork after that may hang."""

from __future__ import annotations

import json
import os
import runpy
import sys

import numpy as np  # noqa: F401
import torch
import torch._dynamo  # what the first zero_grad imports


def imported() -> None:
    """What a watched training imports, before it does."""
    import flightcheck.adapters.torch.observer
    import flightcheck.cli.check
    import flightcheck.cli.run
    import flightcheck.report.console  # noqa: F401
    from flightcheck.checks.registry import all_checks

    all_checks()


def serve() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if child == 0:
            become(task)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become(task: dict[str, object]) -> None:
    """Be the wanted process, up to its end as Python ends one."""
    os.dup2(os.open(str(task["in"]), os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(str(task[name]), os.O_WRONLY | os.O_CREAT), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    os.chdir(str(task["cwd"]))
    os.environ.update(task["environment"])  # type: ignore[call-overload]
    arguments = list(task["arguments"])  # type: ignore[call-overload]
    if arguments[:2] == ["-m", "flightcheck"]:
        from flightcheck.cli.main import main

        sys.path[0] = str(task["cwd"])
        sys.exit(main(arguments[2:]))
    sys.argv = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))  # noqa: PTH100, PTH120
    runpy.run_path(arguments[0], run_name="__main__")
    sys.exit(0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--flightcheck"]:
        imported()
    serve()
