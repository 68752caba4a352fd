"""The first and the last thing that is recorded of a run: what it was, how it ended, what its other ranks saw."""

from __future__ import annotations

import dataclasses
import datetime
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flightcheck.options import WatchOptions
from flightcheck.recording.liveness import this_process
from flightcheck.recording.ranks import launch_of, other_ranks
from flightcheck.recording.records import RunInfo
from flightcheck.recording.store import RunWriter
from flightcheck.redaction import redacted, redacted_text

if TYPE_CHECKING:
    from flightcheck.adapters.torch import TorchObserver


def first_info(options: WatchOptions, folder: Path) -> RunInfo:
    """What is known of a run when it begins."""
    from flightcheck.adapters.torch.machine import framework

    launch, launcher = launch_of(os.environ)
    target = ["-m", options.module] if options.module else [options.script or ""]
    return RunInfo(
        id=folder.name,
        command=shlex.join([*target, *redacted(options.arguments)]),
        script=options.script or options.module or "",
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        framework=framework(),
        mode=options.mode,
        rank=number_in_environment("RANK", 0),
        ranks=number_in_environment("WORLD_SIZE", 1),
        launch=launch,
        launcher=launcher,
        process=this_process(),
    )


def final_info(info: RunInfo, observer: TorchObserver, seconds: float, ended: dict[str, Any]) -> RunInfo:
    """What is known of a run when it is over."""
    return dataclasses.replace(
        info,
        steps=observer.steps,
        backwards=observer.protocol.backwards + observer.protocol.grads_called,
        evaluations=len(observer.forward.evaluations.steps),
        seconds=seconds,
        watching_seconds=observer.watch.spent,
        overhead=observer.budget.overhead,
        overhead_seconds=observer.budget.overhead_seconds,
        **ended,
    )


def number_in_environment(name: str, default: int) -> int:
    """A number that a launcher of distributed trainings sets, such as RANK."""
    try:
        return int(os.environ.get(name) or default)
    except ValueError:
        return default


def compare_ranks(writer: RunWriter, info: RunInfo, observer: TorchObserver) -> None:
    """Put what the other ranks recorded of their parameters into the run of the first one, which reports."""
    digests = observer.replicas.digests
    if info.rank or info.ranks < 2 or digests is None:
        return
    with suppress(Exception):  # other runs may be unreadable: then nothing is compared
        for other in other_ranks(writer.path.parent, info, digests.steps):
            writer.put(other, other.rank)


def close_run(writer: RunWriter, info: RunInfo) -> None:
    """Write the last of a run; what the writer cannot do it has said."""
    try:
        writer.put(info)
        writer.close()
    except Exception as e:  # a record that cannot be written as text: no reason to fail the training
        print(f"flightcheck: the end of the run could not be recorded ({type(e).__name__}: {e})", file=sys.stderr)


def in_words(e: BaseException) -> str:
    """An exception as one line, without what looks like a secret."""
    try:
        return redacted_text(f"{type(e).__name__}: {e}")
    except Exception:
        return f"{type(e).__name__}: (its text cannot be made)"
