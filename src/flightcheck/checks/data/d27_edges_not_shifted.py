"""D27: graphs are joined to a batch, and their edges are not shifted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.joined_graphs import JoinedGraphs
from flightcheck.recording.run import Run


@check(
    "D27",
    "edges-not-shifted",
    severity="error",
    evidence="X",
    needs=("JoinedGraphs",),
    fix="Add to the edges of each graph the number of nodes before it in the batch: edges + offset.",
)
class EdgesNotShifted(Check):
    """The edges of a batch of graphs all lie between the nodes of the first one.

    ## What it checks
    In the first steps, rows of nodes that are pooled by graphs (a sum by a vector of graph numbers, pieces of given
    sizes), and the indices by which the same rows are gathered and scattered along edges. Told if in all batches no
    edge between two nodes reaches beyond as many rows as the largest graph has, although the graphs behind the first
    one have nodes, and if edges recur within a batch.
    ## Why it matters
    Nodes are numbered from 0 in each graph. Joined as they are, the edges of all graphs are edges of the first: it
    gets the messages of the whole batch, and all others get none. The network sees bags of nodes.
    ## How to fix
    `edge_list.append(edges + offset); offset += len(x)`, as the `Batch` of PyTorch Geometric does.
    ## Source
    Fey and Lenssen 2019, Fast Graph Representation Learning with PyTorch Geometric (advanced mini-batching).
    ## Known false alarms
    None known. One graph that many examples share is flagged as well where their rows are stacked: it has to be
    shifted, too. Edges to themselves are left out. Simple graphs of which the first alone has edges do not recur.
    """

    batches = Param(3, "of several graphs, all of them so")
    recurring = Param(0.02, "of the edges at least were in the same batch before: joined graphs have pairs in common")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(JoinedGraphs)
        if not found:
            raise NotApplicable("no batch of several graphs was seen")
        if all(g.batches < self.batches.value for g in found):
            raise NotEnoughEvidence("too few batches of graphs were seen")
        for g in found:
            if g.batches < self.batches.value or g.within < g.batches or g.recurring < self.recurring.value * g.edges:
                continue
            at = g.location
            yield Finding(
                f"The edges of a batch reach its first {g.reach} nodes at most, as many as one graph has, in all of "
                f"{g.batches} batches with {g.nodes / g.batches:.0f} nodes in {g.graphs / g.batches:.0f} graphs: the "
                f"edges of all graphs lie on the nodes of the first one. {g.recurring / g.edges:.0%} of them recur.",
                location=at,
                evidence={
                    "batches": g.batches,
                    "graphs": g.graphs,
                    "nodes": g.nodes,
                    "edges": g.edges,
                    "reach": g.reach,
                    "largest": g.largest,
                    "recurring": g.recurring,
                },
                onset_step=g.step,
                patch=f"edges:{PurePath(at.file).name}:{at.line}" if at is not None and g.joined else "",
            )
