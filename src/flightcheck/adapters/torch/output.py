"""Keeps what the script prints: read where Python writes it, so that the streams stay what they are.

What C code or a started program writes to the same file descriptors passes by unseen: to read that, a pipe would have
to stand between the script and its terminal.
"""

from __future__ import annotations

import time
from threading import RLock
from typing import Any, Final

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.output import OutputPart
from flightcheck.redaction import redacted_output

_PART: Final = 4096
"""Characters after which a part is full."""
FIRST_PARTS: Final = 16
LAST_PARTS: Final = 48
"""So 64 kB of the beginning are kept, and 192 kB of the end."""
LONGEST_LINE: Final = 2000
"""Characters of a line; the middle of a longer one is left out."""
_MOST_LINES: Final = 4000
"""Of one text with more than twice as many, those at its ends: more could not be kept, and they would take time."""
_PER_LINE: Final = 8
"""What a line takes beside its characters: empty ones are no reason to keep thousands in a part."""
_SHARE: Final = 0.002
"""Of the time since the start that looking for secrets may take, beyond the first 20 ms; what is left is done at the
end, when it is at most what is kept: 50 ms."""
_FREE_SECONDS: Final = 0.02


class Output:
    """The lines of both streams; `save` writes what is new of them."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._lock = RLock()  # threads print too; and a handler of a signal, in the middle of our own code
        self._rests: dict[str, str] = {"stdout": "", "stderr": ""}
        self._line = 0
        self._full = 0
        """Parts that are full."""
        self._part = OutputPart(0, [], [])
        self._size = self._saved_size = 0
        self._new: dict[int, OutputPart] = {}
        """What is not written yet, by its index; a part of the end takes the place of the one that is too old."""
        self._started = time.perf_counter()
        self._spent = 0.0

    def written(self, stream: str, text: Any) -> None:
        """The script wrote a text. Called from any thread; raises nothing."""
        if not self.watch.on or not isinstance(text, str):
            return
        try:
            with self._lock:
                self._written(stream, text)
        except Exception as e:
            self.watch.note_error("output", e)

    def _written(self, stream: str, text: str) -> None:
        *lines, rest = (self._rests[stream] + text).split("\n")
        self._rests[stream] = _cut(_last_written(rest))
        if len(lines) > 2 * _MOST_LINES:
            self._add_all(lines[:_MOST_LINES], stream)
            self._next_part()
            self._line += len(lines) - 2 * _MOST_LINES
            self._part = OutputPart(self._line, [], [])
            lines = lines[-_MOST_LINES:]
        self._add_all(lines, stream)

    def _add_all(self, lines: list[str], stream: str) -> None:
        for line in lines:
            kept = _cut(_last_written(line).rstrip("\r") if "\r" in line else line)
            if stream == "stderr":
                self._part.errors.append(len(self._part.lines))
            self._part.lines.append(kept)
            self._line += 1
            self._size += len(kept) + _PER_LINE
            if self._size >= _PART:
                self._next_part()

    def _next_part(self) -> None:
        if self._part.lines:
            self._new[self._index()] = self._part
            self._full += 1
        self._part, self._size = OutputPart(self._line, [], []), 0
        self._saved_size = 0

    def _index(self) -> int:
        late = self._full - FIRST_PARTS
        return self._full if late < 0 else FIRST_PARTS + late % LAST_PARTS

    def save(self, final: bool = False) -> None:
        """Write what is new, without what looks like a secret, as far as there is time for it."""
        with self._lock:
            if final:
                for stream, rest in self._rests.items():
                    if rest:
                        self._add_all([rest], stream)
                self._rests = {"stdout": "", "stderr": ""}
            if self._size > self._saved_size:
                self._new[self._index()], self._saved_size = self._part, self._size
            for index in sorted(self._new, key=lambda i: self._new[i].first):
                start = time.perf_counter()
                if not final and self._spent > _FREE_SECONDS + _SHARE * (start - self._started):
                    break
                part = self._new.pop(index)
                lines = redacted_output("\n".join(part.lines)).split("\n")
                self.watch.writer.put(OutputPart(part.first, lines, list(part.errors)), index)
                self._spent += time.perf_counter() - start


def _last_written(line: str) -> str:
    """What a terminal shows of a line that went back to its beginning: what was written there last."""
    if "\r" not in line:
        return line
    before, _, last = line.rpartition("\r")
    return last if last else _last_written(before.rstrip("\r")) + "\r"


def _cut(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"
