"""How what we print looks: the console, and the signs of severities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Console, RenderableType

if TYPE_CHECKING:
    from flightcheck.checks.base import Severity

WIDEST: Final = 110
"""Columns: longer lines are hard to read."""
SIGN: Final[dict[Severity, tuple[str, str]]] = {
    "critical": ("✗", "bold red"),
    "error": ("✗", "bold red"),
    "warn": ("!", "bold yellow"),
    "info": ("·", "bold blue"),
}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would end the program with status 1


def console_for(stream: TextIO, width: int | None = None) -> Console:
    """A console on a stream: colors only on a terminal and without NO_COLOR, no markup, no guessing of numbers."""
    console = _Console(
        file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False,
        force_jupyter=False,  # there it would show each line by itself, and leave the stream empty
    )  # fmt: skip
    if width is None and console.width > WIDEST:
        console.width = WIDEST
    return console


def print_block(console: Console, block: RenderableType) -> None:
    """Print a table or a text in Markdown, without the blanks with which rich fills lines up to the width."""
    with console.capture() as captured:
        console.print(block)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    console.file.write("\n".join(lines).strip("\n") + "\n")
