"""Modules that stand in an attribute which registers nothing: a list, a tuple, a dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.recording import provenance
from flightcheck.recording.records import Location


@dataclass(frozen=True)
class Held:
    """A place of a module."""

    path: str
    """``encoder.layers[0].norm``, below the root."""
    owner: type
    attribute: str

    def line(self, lines: SourceLines) -> Location | None:
        """The line that assigns to the attribute: there a `ModuleList` belongs."""
        for kind in self.owner.__mro__:
            code = getattr(vars(kind).get("__init__"), "__code__", None)
            if code is not None and lines.is_user(code.co_filename):
                where = provenance.attribute_write(code.co_filename, kind.__name__, self.attribute)
                if where is not None:
                    return lines.of(*where)
        return None


def held_by(caller: nn.Module, module: nn.Module, root: nn.Module | None) -> Iterator[Held]:
    """Where a plain attribute of the caller holds `module`, or another module that has it inside."""
    prefix = next((f"{p}." if p else "" for p, m in (root.named_modules() if root else ()) if m is caller), "")
    for name, value in vars(caller).items():
        entries: list[tuple[str, object]] = []
        if isinstance(value, dict) and not name.startswith("_"):
            entries = [(f"[{k!r}]", v) for k, v in value.items()]
        elif isinstance(value, (list, tuple)):
            entries = [(f"[{i}]", v) for i, v in enumerate(value)]
        for key, entry in entries:
            for inner, m in entry.named_modules() if isinstance(entry, nn.Module) else ():
                if m is module:
                    yield Held(f"{prefix}{name}{key}" + (f".{inner}" if inner else ""), type(caller), name)
