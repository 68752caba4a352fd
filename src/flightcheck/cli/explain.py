"""``flightcheck explain``: one check in full, from the text in its own file."""

from __future__ import annotations

import argparse
import difflib
import sys
from typing import TYPE_CHECKING, Final

from flightcheck.errors import UsageError

if TYPE_CHECKING:
    from flightcheck.checks.index import Description

EVIDENCE: Final = {
    "X": "an exact fact",
    "B": "a bound or identity that holds for every correct program",
    "T": "a statistical test with a minimum effect",
    "H": "a heuristic threshold",
}


def main(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command."""
    parser.add_argument("code", metavar="CODE", help="code or name of a check: L03, double-softmax")
    info = find_check(parser.parse_args(arguments).code)

    from rich.markdown import Markdown
    from rich.text import Text

    from flightcheck.report.console import SIGN, console_for, print_block

    console = console_for(sys.stdout)
    console.print(Text.assemble((info.code, SIGN[info.severity][1]), " ", (info.name, "bold")))
    preview = " · in preview: shown as advice only" if info.preview else ""
    console.print(
        Text(f"{info.section} · severity {info.severity} · evidence: {EVIDENCE[info.evidence]}{preview}", "dim")
    )
    console.print()
    print_block(console, Markdown(info.documentation))
    if info.thresholds:
        thresholds = "\n".join(f"- `{name}` = {value:g}: {reason}" for name, value, reason in info.thresholds)
        console.print()
        print_block(console, Markdown(f"## Thresholds\n{thresholds}"))
    return 0


def find_check(wanted: str) -> Description:
    """The check of this code or name.

    Raises:
        UsageError: there is none.
    """
    from flightcheck.checks.index import descriptions

    infos = descriptions()
    for info in infos:
        if wanted.upper() == info.code or wanted.lower() == info.name:
            return info
    words = {info.code.lower(): info.code for info in infos} | {info.name: info.code for info in infos}
    near = difflib.get_close_matches(wanted.lower(), words, 1)
    hint = f"did you mean {words[near[0]]}?" if near else f"'flightcheck list' shows all {len(infos)} codes"
    raise UsageError(f"unknown check {wanted!r}; {hint}")
