"""P28: processes that train one model together, and no longer have the same one."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.frozen import frozen
from flightcheck.recording.ranks import ReplicaDigests
from flightcheck.recording.run import Run


@frozen
class _Difference:
    """Where another rank's values leave those of the first one, for good."""

    rank: int
    step: int
    buckets: list[int]
    """Those that differ at the last common step."""
    size: float
    """The largest difference of their means there, relative to the size of the values."""


@check(
    "P28",
    "ranks-diverge",
    severity="critical",
    evidence="X",
    needs=("ReplicaDigests", "info"),
    fix="Let every rank start from the same weights and make the same steps from the same reduced gradients.",
)
class RanksDiverge(Check):
    """Parameters that are to be the same on all ranks of a distributed training are not.

    ## What it checks
    Every rank records hashes of its parameters, before the backward of steps 0, 1, 2, 4, 8 … and every 200th: those in
    a DistributedDataParallel, or whose gradients the script sums with `all_reduce`. The first rank compares them when
    its run is over, as far as the runs of the others lie beside its own. Told are parameters that differ from some step
    on at every later one.
    ## Why it matters
    Gradients of different weights are averaged and then belong to none of them. The loss still falls, each rank has its
    own model, and the checkpoint holds that of the first one.
    ## How to fix
    Build, load and change the model before it is wrapped; call the wrapper, not `model.module`; no step, clipping or
    learning rate that depends on the rank. Without a wrapper: `dist.broadcast` of all parameters before the first step.
    ## Source
    TrainCheck (the BLOOM-176B case); PyTorch, DistributedDataParallel; catalogue P28.
    ## Known false alarms
    Sharded and ignored parameters, buffers, groups smaller than all ranks, other communication hooks and parameters
    averaged by hand are left out. Steps under `no_sync` only may be local SGD on purpose: a warning.
    """

    rounding = Param(1e-6, "relative difference of means: what unequal hardware alone may bring is smaller")
    looks = Param(2, "a single look may fall between a step and the broadcast that follows it")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.info.ranks < 2:
            raise NotApplicable("one process trains alone")
        own = next((d for d in run.recorded(ReplicaDigests) if d.rank == run.info.rank), None)
        if own is None:
            raise NotApplicable("no parameters were seen that are to be the same on all ranks")
        if own.averaged:
            raise NotApplicable("the script averages or sends parameters by itself during training")
        others = [d for d in run.recorded(ReplicaDigests) if d.rank != own.rank and d.names == own.names]
        others = [d for d in others if len(self._common(own, d)) >= self.looks.value]
        if not others:
            raise NotEnoughEvidence("the runs of the other ranks were not found beside this one, or hold too few steps")
        found = [f for d in others if (f := self._difference(own, d)) is not None]
        if found:
            yield self._finding(own, min(found, key=lambda f: (f.step, f.rank)), found)

    @staticmethod
    def _common(own: ReplicaDigests, other: ReplicaDigests) -> list[tuple[int, int, int]]:
        """Steps that both looked at, with their positions."""
        return [(s, i, other.steps.index(s)) for i, s in enumerate(own.steps) if s in other.steps]

    def _difference(self, own: ReplicaDigests, other: ReplicaDigests) -> _Difference | None:
        last: list[int] = []
        onset, looks = 0, 0
        for step, i, j in self._common(own, other):
            pairs = enumerate(zip(own.hashes[i], other.hashes[j]))
            differ = [b for b, (one, two) in pairs if one and two and one != two]
            onset, looks = (onset if last else step, looks + 1) if differ else (0, 0)
            last = differ
        if looks < self.looks.value:
            return None
        _, i, j = self._common(own, other)[-1]
        sizes = (max(own.sizes[i][b], other.sizes[j][b], 1e-30) for b in last)
        size = max(abs(own.means[i][b] - other.means[j][b]) / s for b, s in zip(last, sizes))
        return _Difference(other.rank, onset, last, size)

    def _finding(self, own: ReplicaDigests, first: _Difference, found: list[_Difference]) -> Finding:
        name = own.names[first.buckets[0]]
        ranks = ", ".join(str(f.rank) for f in found[:8])
        late = [b for b in first.buckets if b in own.late]
        rounding = max(f.size for f in found) <= self.rounding.value
        location, why, fix = own.location, "", ""
        if own.bypass is not None:
            location, why = own.bypass, " The wrapped model itself is called, so no gradient is averaged."
            fix = "Call the DistributedDataParallel object, not its .module."
        elif late and len(late) == len(first.buckets):
            location = own.late_location or own.location
            why = " It came into the model after that was wrapped, so its gradients are not averaged."
            fix = "Complete the model first, then wrap it in DistributedDataParallel."
        elif own.unsynchronized:
            why = f" In {own.unsynchronized} rounds every backward ran under no_sync()."
            fix = "Leave no_sync() before the last backward of each step."
        elif first.step == 0 and own.how == "ddp":
            why = " They differed before the first step: changed after the wrapper had made them equal."
            fix = "Load and change weights before the model is wrapped, or on all ranks alike."
        elif first.step <= 1 and own.how == "reduced":  # known from the first reduction on
            why = " The gradients are the same: the weights differed at the start, or the steps do."
            fix = "Before the first step: for p in model.parameters(): dist.broadcast(p.data, 0)."
        return Finding(
            f"From step {first.step} on the parameters of rank {ranks} are not those of rank {own.rank}: "
            f"{len(first.buckets)} of {len(own.names)} differ, the first is {name}.{why}",
            location=location,
            evidence={
                "ranks": [f.rank for f in found],
                "buckets": len(first.buckets),
                "of": len(own.names),
                "first": name,
                "difference": first.size,
            },
            onset_step=first.step,
            severity="warn" if rounding or (own.unsynchronized and own.bypass is None and not late) else None,
            fix=fix,
        )
