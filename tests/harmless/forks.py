"""The process behind `processes.Server`. Never computes anything itself: a fork after that may hang."""

from __future__ import annotations

import json
import os
import runpy
import sys

import numpy as np  # noqa: F401
import torch
import torch._dynamo  # what the first zero_grad imports


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
    """Be the wanted process."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(str(task[name]), os.O_WRONLY | os.O_CREAT), number)
    os.chdir(str(task["cwd"]))
    arguments = list(task["arguments"])  # type: ignore[call-overload]
    code = 70
    try:
        if arguments[:2] == ["-m", "flightcheck"]:
            from flightcheck.cli.main import main

            sys.path[0] = str(task["cwd"])
            code = main(arguments[2:])
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
            code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
