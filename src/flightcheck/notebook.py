"""In Jupyter: the line of a training that goes on, renewed in the output of its cell."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from flightcheck.live.starting import END_SECONDS, Following

_PATIENCE: Final = 1.0


def in_notebook() -> bool:
    """The code runs in a kernel, whose outputs somebody sees as HTML: not in a script, nor in IPython's terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and getattr(shell, "kernel", None) is not None


def show(value: Any) -> None:
    """Put a value into the output of the cell."""
    sys.modules["IPython"].display.display(value)


def live_line(folder: Path, select: Sequence[str], ignore: Sequence[str]) -> Callable[[], None]:
    """Show how the run in a folder is doing, in the output of the cell, until the returned function is called: when the
    run is closed.

    A process of its own reads the run; the kernel gets a line of text now and then. Without Jupyter nothing is shown.
    It raises nothing of its own: a live view that fails is no reason to train less.
    """
    try:
        line = _Line(folder, select, ignore) if in_notebook() else None
    except Exception:
        line = None

    def over() -> None:
        if line is not None:
            with suppress(Exception):
                line.end()

    return over


class _Line:
    """The line, and the thread that renews it."""

    def __init__(self, folder: Path, select: Sequence[str], ignore: Sequence[str]) -> None:
        self._following = Following(folder, lines=True, select=list(select), ignore=list(ignore))
        self._handle = sys.modules["IPython"].display.display(_Text("waiting for the first step", ""), display_id=True)
        self._thread = threading.Thread(target=self._renew, name="flightcheck-live", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Show the last state."""
        self._following.over()
        self._thread.join(END_SECONDS)
        self._following.close()

    def _renew(self) -> None:
        with suppress(EOFError, OSError, ValueError):  # it is done, or gone
            while True:
                told = self._following.answer(_PATIENCE)
                if told is not None and "text" in told:
                    self._handle.update(_Text(told["text"], told["html"]))


class _Text:
    """A line, in markup and as text."""

    def __init__(self, text: str, html: str) -> None:
        self._text, self._html = text, html

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str | None:
        return self._html or None
