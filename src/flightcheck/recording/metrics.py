"""Numbers by which a script itself tells how it goes: logged, printed, or sent to a tracker.

Each is a series ``metric/SOURCE/NAME`` of the run, beside a `MetricInfo`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

from flightcheck.frozen import frozen
from flightcheck.recording.printed import direction, is_of_training, is_of_unseen, numbers_in, with_places
from flightcheck.recording.records import RECORDS

Source = Literal["log", "printed", "tensorboard", "wandb", "mlflow"]
Receiver = Callable[[Mapping[str, Any], int | None], None]

PREFIX: Final = "metric/"
_RECEIVERS: Final[list[Receiver]] = []
_LONGEST_NAME: Final = 80
_COUNTERS: Final = {
    "epoch", "epochs", "step", "steps", "iter", "iters", "iteration", "iterations", "batch", "batches", "fold", "seed",
    "time", "elapsed", "eta", "seconds", "sec", "secs", "lr", "rate", "rank", "port", "pid", "version", "size",
    "update", "updates", "round", "rounds", "it", "s", "ms", "t", "i", "n", "params", "parameters",
    "samples", "examples",
}  # fmt: skip
"""Last words of names that count or set something, and measure nothing."""
_NAMED: Final = (
    r"""(?P<name>[A-Za-z_][\w./@-]*(?:[ ][A-Za-z_][\w./@-]*){0,2})['"]?\s*[=:]\s*(?:tensor\(|np\.float\d+\()?"""
    r"""(?P<value>[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf))(?![\w:/.]*\w)"""
)
"""``name=value``, ``two words: value``, ``'name': value``, and a tensor's or NumPy's own way to be shown."""

_SOURCE_FILE: Final = re.compile(r"\.(?:py|pyx|c|cc|cpp|cu|cuh|h|hpp)$")
"""A warning's ``file.cpp:822`` is a line, and no measure."""


@frozen
class MetricInfo:
    """One series of numbers of the script's own."""

    index: int
    name: str
    source: str
    """log (`flightcheck.log`), printed, tensorboard, wandb or mlflow."""
    count: int = 0
    first_step: int = 0
    last_step: int = 0
    own_steps: bool = False
    """The script gave the steps; else they are rounds of training."""
    last: float = 0.0
    """In full precision; the series holds 32 bits."""
    minimum: float = 0.0
    maximum: float = 0.0

    @property
    def signal(self) -> str:
        """The name of its series in the run."""
        return f"{PREFIX}{self.source}/{self.name}"


def log(values: Mapping[str, Any] | None = None, /, *, step: int | None = None, **named: Any) -> None:
    """Record numbers of the watched training: ``flightcheck.log(accuracy=0.9)``, or a dictionary.

    Without a watched training it does nothing, so a script may keep it. What is no number is left out.

    Args:
        values: numbers by name: Python's, NumPy's, or tensors with one element.
        step: the place of the numbers in their series; without it, how many rounds of training are over.
        named: more of them.
    """
    for receiver in list(_RECEIVERS):
        receiver({**(values or {}), **named}, step)


def receive(receiver: Receiver) -> None:
    """From now on, hand on what is logged; a receiver must not raise."""
    _RECEIVERS.append(receiver)


def leave(receiver: Receiver) -> None:
    """No more of it."""
    if receiver in _RECEIVERS:
        _RECEIVERS.remove(receiver)


def metrics_in(line: str) -> Iterator[tuple[str, float]]:
    """The metrics of a printed line: what has a name before ``=`` or ``:``, and numbers after words of measures."""
    line = rest = with_places(line)
    for match in re.finditer(_NAMED, line):
        name, text = plain_name(match["name"]), match["value"]
        rest = rest.replace(match.group(), "|", 1)
        whole = text.lstrip("+-").isdigit()
        if (
            _SOURCE_FILE.search(match["name"])
            or name.rpartition("_")[2] in _COUNTERS
            or (whole and not direction(name.replace("_", " ")))
        ):
            continue
        yield name, float(text)
    for words, value in numbers_in(rest):
        measures = direction(words) or is_of_unseen(words) or (is_of_training(words) and not value.is_integer())
        if measures and words.split()[-1] not in _COUNTERS:
            yield plain_name(words), value


def plain_name(text: str) -> str:
    """A name as it can be asked for: ``Test Acc`` is ``test_acc``."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[-_LONGEST_NAME:]


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of nested dictionaries, with their names joined by dots."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"[:_LONGEST_NAME], value


RECORDS["MetricInfo"] = MetricInfo
