"""What the script prints in a trial: its own numbers tell how well it goes where nothing of ours does."""

from __future__ import annotations

import functools
import linecache
import sys
from typing import Any, Final

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.recording.printed import PrintedNumber, direction, is_of_unseen, numbers_in
from flightcheck.recording.written_output import words_at

_LONGEST_LINE: Final = 400
_MOST: Final = 400
"""Numbers that are kept."""


class Printing:
    """Reads along on stdout and stderr; everything is passed on."""

    def __init__(self, boundaries: Boundaries) -> None:
        self._boundaries = boundaries
        self._count = 0
        self._evaluations = 0
        self._last: dict[str, int] = {}
        """Calls without gradients up to the last number of each name."""

    def install(self) -> None:
        """Put a reader before both streams, and count the calls of models without gradients."""
        self._boundaries.at_root(self._root)
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is not None:
                self._boundaries.observer.patches.replace(sys, name, lambda stream: _Reader(stream, self._line))

    def _root(self, call: Any, module: torch.nn.Module, given: Arguments) -> Any:
        if not torch.is_grad_enabled():
            self._evaluations += 1
        return call(*given[0], **given[1])

    def _line(self, line: str) -> None:
        watch = self._boundaries.observer.watch
        for written, value in numbers_in(line):
            name = self._told(written)
            if not (direction(name) or is_of_unseen(name)) or self._count >= _MOST:
                continue
            evaluated = self._evaluations > self._last.get(name, 0)
            self._last[name] = self._evaluations
            self._count += 1
            watch.writer.append(PrintedNumber(watch.step, name, value, evaluated))

    def _told(self, name: str) -> str:
        """The name, with a word of what is printed where its own do not tell which way is better: ``test acc``."""
        if direction(name):
            return name
        at = self._boundaries.observer.watch.lines.here()
        word = _words_at(at.file, at.line).get(name, "") if at is not None else ""
        return f"{name} {word}" if word else name


@functools.lru_cache(maxsize=256)
def _words_at(file: str, line: int) -> dict[str, str]:
    return words_at("".join(linecache.getlines(file)), line)


class _Reader:
    """A stream that tells each finished line. What is not written is the stream's own."""

    def __init__(self, stream: Any, line: Any) -> None:
        self._stream, self._tell, self._rest = stream, line, ""

    def write(self, text: str) -> Any:
        written = self._stream.write(text)
        if isinstance(text, str):
            try:
                *lines, rest = (self._rest + text).replace("\r", "\n").split("\n")
                self._rest = rest[-_LONGEST_LINE:]
                for line in lines:
                    if line and len(line) <= _LONGEST_LINE:
                        self._tell(line)
            except Exception:  # nothing of ours may reach the script
                self._rest = ""
        return written

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Any:
        return iter(self._stream)
