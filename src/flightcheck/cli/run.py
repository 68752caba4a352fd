"""``flightcheck run``: the whole training, watched."""

from __future__ import annotations

import argparse

from flightcheck.cli import live, watching


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    options = watching.add_options(parser)
    options += live.add_options(parser)
    args, script_arguments = watching.parse(parser, options, arguments)
    return watching.watch(args, script_arguments, "run", None, None)
