"""``flightcheck check``: the first steps of a training, then the report."""

from __future__ import annotations

import argparse

from flightcheck.cli import watching
from flightcheck.options import DEFAULT_LAB_SECONDS, DEFAULT_SECONDS, DEFAULT_STEPS


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    options = watching.add_options(parser)
    options.append(
        parser.add_argument(
            "--steps", type=watching.positive_int, default=DEFAULT_STEPS, metavar="N",
            help="stop the script after N steps of training (default %(default)s)",
        )
    )  # fmt: skip
    options.append(
        parser.add_argument(
            "--time", type=watching.positive_float, default=DEFAULT_SECONDS, metavar="SECONDS",
            help="stop the script after so many seconds of training (default %(default)g)",
        )
    )  # fmt: skip
    options.append(
        parser.add_argument(
            "--lab-budget", type=watching.seconds, default=DEFAULT_LAB_SECONDS, metavar="SECONDS",
            help="then try fixes for at most so many seconds, 0 for none (default %(default)g)",
        )
    )  # fmt: skip
    options.append(
        parser.add_argument(
            "--jobs", type=watching.positive_int, default=None, metavar="N",
            help="trials that run at the same time (default: one per core, at most 4); results do not depend on it",
        )
    )  # fmt: skip
    args, script_arguments = watching.parse(parser, options, arguments)
    return watching.watch(args, script_arguments, "check", args.steps, args.time)
