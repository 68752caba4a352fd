"""The last line of the terminal, kept for us: what the script prints scrolls above it."""

from __future__ import annotations

import os
from contextlib import suppress

from rich.cells import set_cell_size


class BottomLine:
    """A line below the script's output. It writes to the terminal what no script sees, and leaves no trace when closed.

    The rows above are made the region that scrolls, as package managers do for their progress, so a script may print
    whatever it likes, from any process.
    """

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._size: os.terminal_size | None = None

    @staticmethod
    def possible(terminal: int) -> bool:
        """It is a terminal that understands where to write."""
        try:
            rows = os.get_terminal_size(terminal).lines if os.isatty(terminal) else 0
        except OSError:
            return False
        return rows >= 4 and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")

    def show(self, text: str) -> None:
        """Show a text, cut to the width."""
        size = os.get_terminal_size(self._terminal)
        begin = ""
        if size != self._size:
            begin = (
                f"\n\x1b7\x1b[1;{size.lines - 1}r\x1b8\x1b[A"
                if self._size is None
                else f"\x1b7\x1b[1;{size.lines - 1}r\x1b8"
            )
            self._size = size
        line = set_cell_size(text, size.columns - 1).rstrip()
        self._write(f"{begin}\x1b7\x1b[{size.lines};1H\x1b[2K{line}\x1b8")

    def close(self) -> None:
        """Give the line back."""
        if self._size is not None:
            self._write(f"\x1b7\x1b[r\x1b[{self._size.lines};1H\x1b[2K\x1b8")
            self._size = None

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal is gone
            os.write(self._terminal, text.encode("utf-8", "replace"))  # one call: nothing of the script comes between
