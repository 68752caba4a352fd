"""Records of models that are an affine function of their input."""

from __future__ import annotations

from dataclasses import dataclass, field

from flightcheck.recording.records import RECORDS, Location


@dataclass(frozen=True)
class LinearStack:
    """A prediction that is an affine function of the data: no activation between these layers, the first first."""

    site: int
    """The loss that was given the prediction."""
    parameters: list[int] = field(default_factory=list)
    """Per layer: the index of its matrix, -1 if it is unknown."""
    modules: list[int] = field(default_factory=list)
    """Per layer: the index of the module that it is called in, -1 if there is none."""
    inputs: list[int] = field(default_factory=list)
    """Features or channels that go into each layer."""
    outputs: list[int] = field(default_factory=list)
    location: Location | None = None
    """The line that calls the first layer."""


RECORDS["LinearStack"] = LinearStack
