"""``--to``: what ``run``, ``export`` and ``sync`` share of sending runs to trackers."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from flightcheck.cli.runs import count, selected
from flightcheck.cli.show import find_run
from flightcheck.errors import RunFileError, UsageError

if TYPE_CHECKING:
    from flightcheck.exporters.base import Destination
    from flightcheck.exporters.processes import Sender
    from flightcheck.exporters.progress import Progress

INCOMPLETE: Final = 1
_STILL_WRITTEN: Final = 120.0
"""Seconds since the last write within which a run that has not ended is taken to go on: steps may be long."""


def add_options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Declare the options that say where runs are to be sent."""
    add = parser.add_argument
    return [
        add("--to", action="append", default=[], metavar="TRACKER[=WHERE]",
            help="send to mlflow, wandb, comet or trackio: --to mlflow=http://SERVER:5000, --to wandb=FOLDER"),
        add("--project", default="", metavar="NAME",
            help="the tracker's project or experiment (default flightcheck)"),
        add("--models", action="store_true", help="send the files of weights that the script saved, too"),
    ]  # fmt: skip


def destinations(args: argparse.Namespace) -> list[Destination]:
    """Where to send, as far as that can be known before anything is sent.

    Raises:
        UsageError: a tracker is unknown, or its place is.
        MissingExtra: its library is not installed.
    """
    from flightcheck.exporters.base import destination_of

    found = [destination_of(text, args.project, args.models) for text in args.to]
    if len(set(found)) < len(found):
        raise UsageError("--to names the same destination twice")
    return found


class LiveSending:
    """Sends a run while it goes on. No fault of it reaches the training."""

    def __init__(self, wanted: Sequence[Destination]) -> None:
        first = os.environ.get("RANK") in (None, "", "0")  # of several processes that train together, one sends
        self._wanted = wanted if first else ()
        self._senders: list[Sender] = []

    def start(self, folder: Path) -> None:
        """Start the processes that follow the run in this folder."""
        for destination in self._wanted:
            try:
                self._senders.append(_sender(folder, destination, live=True))
            except Exception as e:
                print(f"flightcheck: nothing is sent to {destination.tracker} ({e})", file=sys.stderr)

    def finish(self, quiet: bool) -> None:
        """Send the rest, and say what arrived."""
        from flightcheck.exporters.processes import finish

        if not self._senders:
            return
        names = ", ".join(d.tracker for d in self._wanted)
        waiting = (lambda: None) if quiet else (lambda: print(f"Sending the rest to {names} …", file=sys.stderr))
        try:
            for progress in finish(self._senders, waiting):
                if not quiet or not progress.complete:
                    print(_outcome(progress), file=sys.stderr)
        except Exception as e:  # the promise: no fault of ours changes the exit status of a training
            print(f"flightcheck: sending ended by a fault of ours ({type(e).__name__}: {e})", file=sys.stderr)


def export(args: argparse.Namespace, names: Sequence[str]) -> int:
    """Send recorded runs; 0 if all arrived."""
    if args.uri is not None:
        if len(args.to) != 1 or "=" in args.to[0]:
            raise UsageError("--uri says where for one --to TRACKER; else say --to TRACKER=WHERE")
        args.to = [f"{args.to[0]}={args.uri}"]
    wanted = destinations(args)
    if args.where and names:
        raise UsageError("say which runs: by their ids, or with --where")
    if args.where:
        folders = [args.runs_dir / run["id"] for run in selected(args)]
    else:
        folders = [find_run(name, args.runs_dir) for name in (names or (None,))]
    folders = [f if f.is_dir() else f.parent for f in folders]
    failed = 0
    for folder in folders:
        if _goes_on(folder):
            raise UsageError(f"{folder.name} goes on; 'run --to' sends a training live, 'export' when it is over")
        for destination in wanted:
            failed += not _send(folder, destination, again=args.again, out=sys.stdout)
    if not folders:
        print("no run meets the condition")
    return INCOMPLETE if failed else 0


def sync(runs_dir: Path, names: Sequence[str]) -> int:
    """Send what has not arrived yet; 0 if nothing is left."""
    from flightcheck.exporters.progress import FOLDER, all_progress

    if names:
        folders = [f if f.is_dir() else f.parent for f in (find_run(name, runs_dir) for name in names)]
    else:
        folders = sorted(p.parent for p in runs_dir.glob(f"*/{FOLDER}") if p.is_dir())
    waiting = [(f, p.destination) for f in folders for p in all_progress(f) if not p.complete]
    left = 0
    for folder, destination in waiting:
        try:
            if _goes_on(folder):
                print(f"{folder.name} goes on: it is left for later")
                continue
            left += not _send(folder, destination, again=False, out=sys.stdout)
        except RunFileError as e:  # one run that is damaged holds up no other
            print(f"flightcheck: {e}", file=sys.stderr)
            left += 1
    if not waiting:
        print(f"nothing waits to be sent in {runs_dir}")
    elif left:
        print(f"{count(left)} could not be sent; they keep waiting")
    return INCOMPLETE if left else 0


def _send(folder: Path, destination: Destination, *, again: bool, out: TextIO) -> bool:
    from flightcheck.exporters.progress import progress_of

    known = progress_of(folder, destination, again=again)
    if known.complete:
        print(f"{folder.name} is already there: {known.told} (--again sends it once more)", file=out)
        return True
    sender = _sender(folder, destination, live=False, again=again)
    try:
        sender.wait(float("inf"))
    except KeyboardInterrupt:
        sender.stop()
        raise
    progress = sender.progress()
    print(f"{folder.name} → {_outcome(progress)}", file=out if progress.complete else sys.stderr)
    return progress.complete


def _sender(folder: Path, destination: Destination, *, live: bool, again: bool = False) -> Sender:
    from flightcheck.exporters.processes import Sender
    from flightcheck.exporters.progress import progress_of

    folder.mkdir(parents=True, exist_ok=True)
    progress = progress_of(folder, destination, again=again)
    progress.save()
    return Sender(folder.absolute(), progress, live=live)


def _outcome(progress: Progress) -> str:
    tracker = progress.destination.tracker
    if progress.complete:
        return f"{tracker}: {progress.told}"
    return f"flightcheck: not all has arrived at {tracker} ({progress.error}). 'flightcheck sync' sends the rest."


def _goes_on(folder: Path) -> bool:
    """The run has not ended, and was written to not long ago: it was not killed."""
    from flightcheck.exporters.reader import RunReader
    from flightcheck.recording.store import FILE_NAME

    written = max((f.stat().st_mtime for f in folder.glob(f"{FILE_NAME}*")), default=0.0)
    return time.time() - written < _STILL_WRITTEN and not RunReader(folder).over()
