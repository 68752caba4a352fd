"""Records of batches of several graphs, and of how far the indices of their edges reach."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class JoinedGraphs:
    """Rows of nodes of several graphs, between which rows are gathered and scattered along edges."""

    step: int
    """The first one of such a batch."""
    location: Location | None
    """The line that joined the edges, else the one that gathers along them."""
    joined: bool = False
    """It is the former."""
    batches: int = 0
    """Different ones, each of which had several graphs."""
    within: int = 0
    """Of these, in how many no edge reaches beyond as many rows as the largest graph has, and some edges recur."""
    graphs: int = 0
    """In all these batches."""
    nodes: int = 0
    edges: int = 0
    """Without those from a node to itself."""
    recurring: int = 0
    """Edges that were in the same batch before."""
    largest: int = 0
    """Nodes of the largest graph that was seen."""
    reach: int = 0
    """The first nodes of a batch up to which edges reach, at most."""


RECORDS[JoinedGraphs.__name__] = JoinedGraphs
