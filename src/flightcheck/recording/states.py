"""Records of what happened to the stored weights: loaded from elsewhere, or held in few bits."""

from __future__ import annotations

from dataclasses import dataclass

from flightcheck.recording.records import RECORDS, Location


@dataclass(frozen=True)
class StateLoad:
    """One call of ``load_state_dict`` of a module, and what it did to the module's weight matrices."""

    index: int
    location: Location | None
    type: str
    """Class of the module."""
    strict: bool = True
    whole: bool = True
    """The module is a model that was trained, and not a part of one."""
    given: int = 0
    """Tensors in the state."""
    matched: int = 0
    """Of these, with the name of a parameter or buffer of the module."""
    matrices: int = 0
    """Parameters of the module with two or more dimensions."""
    unfilled: int = 0
    """Of these, bit-identical before the call, after it, and at the first step of training."""
    misnamed: int = 0
    """Unfilled matrices for which a tensor of the same shape was there under another prefix."""
    misnamed_share: float = 0.0
    """Their share of all elements of the module's matrices."""
    source_prefix: str = ""
    """What such names begin with in the state …"""
    module_prefix: str = ""
    """… and what they ought to begin with."""
    example: str = ""
    """One such name, as it stands in the state."""
    from_file: Location | None = None
    """The names were filtered before the call: the line that read the file which held the tensors."""


@dataclass(frozen=True)
class StoredUpdate:
    """What became of the updates of one trained parameter that is stored in 16 bits (a sample of its elements)."""

    parameter: int
    dtype: str
    looks: int = 0
    """Steps at which gradient and value were looked at."""
    steps: int = 0
    """Steps between the first and the last look."""
    lost: float = 0.0
    """Share of the gradient (summed absolute values) that fell on elements which never changed."""
    elements: int = 0
    master: bool = False
    """The optimizer keeps more exact values, or the rounding errors, in its state."""


RECORDS.update({c.__name__: c for c in (StateLoad, StoredUpdate)})
