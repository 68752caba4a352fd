"""Attributes that look like ``requires_grad`` and freeze nothing: misspelt ones, and any of a module."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from torch import nn

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance.statements import flag_writes
from flightcheck.recording.wiring import UnknownFlag

_FLAG: Final = "requires_grad"
_ALIKE: Final = 0.8
"""Likeness of two names from which one is the other one misspelt; ``require_grad`` has 0.96."""


def unknown_flags(watch: Watch, discovery: Discovery, model: nn.Module) -> Iterator[UnknownFlag]:
    """What a script set on a model or its parameters in the place of ``requires_grad``, with the line."""
    found: dict[tuple[str, bool], set[int]] = {}
    for module in model.modules():
        for name in _flags(vars(module), of_module=True):
            _note(found, (name, True), discovery, module.parameters())
    for parameter in model.parameters():
        for name in _flags(vars(parameter), of_module=False):
            _note(found, (name, False), discovery, [parameter])
    for (name, of_module), indices in found.items():
        lines = [watch.lines.of(f, n) for f in sorted(discovery.files()) for n in flag_writes(f, name)]
        if lines and indices:
            yield UnknownFlag(0, lines[0], name, of_module, sorted(indices))


def _flags(attributes: dict[str, Any], *, of_module: bool) -> list[str]:
    return [
        n
        for n, value in attributes.items()
        if value is False
        and (of_module or n != _FLAG)
        and difflib.SequenceMatcher(None, n.lower(), _FLAG).ratio() >= _ALIKE
    ]


def _note(found: dict[tuple[str, bool], set[int]], key: Any, discovery: Discovery, parameters: Iterable[Any]) -> None:
    known = (discovery.parameter_index(p) for p in parameters if p.requires_grad)
    found.setdefault(key, set()).update(i for i in known if i is not None)
