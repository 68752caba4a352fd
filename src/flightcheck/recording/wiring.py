"""Records of how a model is put together where that can hardly be meant: exact facts of its modules and its code."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class RepeatedModule:
    """One module, with parameters to train, that stands at several places where a list was repeated."""

    index: int
    location: Location | None
    """The line of ``[layer] * n``, or of a comprehension that gives the same object each time."""
    module: int
    """Its `ModuleInfo.index`."""
    container: str = ""
    """Path of the ``ModuleList``, ``Sequential`` or ``ModuleDict`` that holds it; empty for a list of models."""
    places: int = 0
    """At how many places of the container it stands; 0 for a list of models, whose length is not known."""
    said: str = ""
    """Comments at the line, and the description of its class."""


@frozen
class UnusedResult:
    """A result that the forward pass of a called module computes and nothing reads."""

    index: int
    location: Location | None
    kind: str
    """``statement``: the call stands alone. ``overwritten``: its name gets another value first. ``variable``: a name
    keeps the input and is never read."""
    called: str = ""
    """What is called, as the source writes it: ``self.pos``, ``F.relu``, ``scores.masked_fill``."""
    name: str = ""
    """The name that goes on unchanged, gets another value, or is never read."""
    owner: str = ""
    """Class whose forward pass it is."""
    module: int = -1
    """`ModuleInfo.index` of the module that is called, -1 for a function."""


@frozen
class StandIn:
    """A module that is called again in each forward pass, while another one just like it is never called."""

    index: int
    module: int
    """`ModuleInfo.index` of the one that is called …"""
    unused: int
    """… and of the one beside it that is not."""
    calls: int = 2
    """Calls in each forward pass."""
    location: Location | None = None
    """The line of the second call."""


@frozen
class UnknownFlag:
    """A line that gives parameters or a module an attribute which PyTorch does not know: ``p.require_grad = False``."""

    index: int
    location: Location | None
    attribute: str
    of_module: bool = False
    """It is set on a module, which has no flag: only its parameters have one."""
    parameters: list[int] = field(default_factory=list)
    """Those that were to be frozen by it and still wanted a gradient when they were trained first."""


@frozen
class ReboundParameter:
    """A statement that gives the variable of a loop over parameters another value: the parameter stays as it is."""

    name: str
    location: Location


RECORDS.update({c.__name__: c for c in (RepeatedModule, UnusedResult, StandIn, UnknownFlag, ReboundParameter)})
