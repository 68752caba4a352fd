"""What ``run`` adds to watching: the live page with the terminal's line, and event files for TensorBoard."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from flightcheck.errors import UsageError
from flightcheck.live.starting import START_SECONDS, Following

_QUICK = 20.0


def add_options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Declare the options."""
    return [
        parser.add_argument("--live", action="store_true",
            help="show the page while training, on this machine only, and a line in the terminal"),
        parser.add_argument("--tensorboard", type=Path, metavar="DIR",
            help="also write the run as an event file below DIR, as it goes on"),
    ]  # fmt: skip


class Live:
    """The processes that follow a run; without these options there are none.

    Args:
        args: the options of `add_options`, and those of `flightcheck.cli.watching`.

    Raises:
        UsageError: it is not possible here, or the folder cannot be written.
        MissingExtra: TensorBoard is not installed.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        first = os.environ.get("RANK") in (None, "", "0")  # of several processes that train together, one is shown
        self._live: bool = first and getattr(args, "live", False)
        self._tensorboard: Path | None = getattr(args, "tensorboard", None) if first else None
        self._checks = {"select": args.select, "ignore": args.ignore}
        self._followings: list[tuple[str, Following]] = []
        if (self._live or self._tensorboard) and not hasattr(os, "fork"):
            raise UsageError("--live and --tensorboard follow the run from another process, which needs fork(); "
                             "'flightcheck export RUN --tensorboard DIR' works afterwards")  # fmt: skip
        if self._tensorboard is not None:
            from flightcheck.cli.watching import require_folder
            from flightcheck.report.tensorboard.events import require_tensorboard

            require_tensorboard()
            self._tensorboard = self._tensorboard.absolute()  # the script may change the folder
            require_folder(self._tensorboard, "--tensorboard")

    def begin(self, folder: Path) -> None:
        """The run's folder is known, and the script is about to start."""
        try:
            if self._tensorboard is not None:
                task = {"tensorboard": str(self._tensorboard), **self._checks}
                self._followings.append(("TensorBoard", Following(folder, **task)))
            if self._live:
                page = Following(folder, page=True, terminal=True, **self._checks)
                self._followings.append(("the page", page))
                told = page.answer(START_SECONDS)
                where = told["url"] if told else "nowhere: its process did not start in time"
                print(f"flightcheck: live at {where}", file=sys.stderr, flush=True)
        except Exception as e:  # no live view is no reason to train less
            print(f"flightcheck: no live view ({type(e).__name__}: {e})", file=sys.stderr)

    def end(self) -> None:
        """The run is over; come back when the terminal is free and the last state was handed on."""
        for what, following in reversed(self._followings):
            try:
                if not following.end(_QUICK):
                    print(
                        f"flightcheck: {what} takes longer than {_QUICK:.0f} s; it is finished apart", file=sys.stderr
                    )
            except KeyboardInterrupt:
                pass
        self._followings.clear()
