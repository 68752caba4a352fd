"""``flightcheck list``: all checks, one a line."""

from __future__ import annotations

import argparse
import sys


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    parser.parse_args(arguments)

    from rich.table import Table
    from rich.text import Text

    from flightcheck.checks.registry import all_checks
    from flightcheck.report.terminal import SIGN, console_for, print_block

    console = console_for(sys.stdout)
    infos = [c.info for c in all_checks().values()]
    section = ""
    table = Table.grid(padding=(0, 2))
    for info in infos:
        if info.section != section:
            section = info.section
            table.add_row()
            table.add_row(Text(info.code[0], "bold"), Text(section, "bold"))
        severity = Text("preview", "dim") if info.preview else Text(info.severity, SIGN[info.severity][1])
        table.add_row(Text(info.code), Text(info.name), severity, Text(info.summary))
    print_block(console, table)
    console.print()
    console.print(Text(f"{len(infos)} checks · 'flightcheck explain CODE' tells one in full", "dim"))
    return 0
