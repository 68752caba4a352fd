"""``flightcheck run``: the whole training, watched."""

from __future__ import annotations

import argparse

from flightcheck.cli import live, trackers, watching


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    options = [*watching.add_options(parser), *live.add_options(parser), *trackers.add_options(parser)]
    args, script_arguments = watching.parse(parser, options, arguments)
    sending = trackers.LiveSending(trackers.destinations(args) if args.to else ())
    try:
        return watching.watch(args, script_arguments, "run", None, None, begins=[sending.start])
    finally:
        sending.finish(args.quiet)
