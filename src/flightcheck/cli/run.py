"""``flightcheck run``: the whole training, watched."""

from __future__ import annotations

import argparse

from flightcheck.cli import trackers, watching


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    options = [*watching.add_options(parser), *trackers.add_options(parser)]
    args, script_arguments = watching.parse(parser, options, arguments)
    live = trackers.LiveSending(trackers.destinations(args) if args.to else ())
    try:
        return watching.watch(args, script_arguments, "run", None, None, started=live.start)
    finally:
        live.finish(args.quiet)
