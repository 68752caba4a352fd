"""``flightcheck list``: all checks, one a line."""

from __future__ import annotations

import argparse
import sys
import textwrap
from typing import Final

_NARROWEST: Final = 20
"""Columns of a summary, however narrow the window is."""


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    parser.parse_args(arguments)

    from rich.text import Text

    from flightcheck.checks.index import descriptions
    from flightcheck.report.console import SIGN, console_for

    console = console_for(sys.stdout)
    infos = descriptions()
    names, severities = max(len(i.name) for i in infos), max(len(s) for s in SIGN)
    before = " " * (len(infos[0].code) + names + severities + 6)
    told, section = Text(), ""
    for info in infos:  # a table of so many rows would take as long to measure as all else
        if info.section != section:
            section = info.section
            told.append(f"\n{info.code[0]:{len(info.code)}}  {section}\n", "bold")
        told.append(f"{info.code}  {info.name:{names}}  ")
        severity, style = ("preview", "dim") if info.preview else (info.severity, SIGN[info.severity][1])
        told.append(f"{severity:{severities}}  ", style)
        summary = textwrap.wrap(info.summary, max(_NARROWEST, console.width - len(before)))
        told.append(f"\n{before}".join(summary) + "\n")
    console.print(told, soft_wrap=True)
    console.print(Text(f"{len(infos)} checks · 'flightcheck explain CODE' tells one in full", "dim"))
    return 0
