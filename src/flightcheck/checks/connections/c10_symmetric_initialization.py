"""C10: units that start equal, get equal gradients, and so stay equal."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import common_path, most_common
from flightcheck.recording.records import ParameterInfo
from flightcheck.recording.run import Run


@check(
    "C10",
    "symmetric-initialization",
    severity="error",
    evidence="X",
    needs=("parameters",),
    fix="Initialize the weight matrices at random (the default of PyTorch does); only biases may start at zero.",
    patch="reinit:default",
)
class SymmetricInitialization(Check):
    """Weight matrices start with equal rows and get equal gradients: their units are one unit.

    ## What it checks
    More than 10 % of the units of a hidden matrix have the same weights as another unit before the first step, and the
    same first gradient; or the matrix is constant, or the embedding zero (two tables that are multiplied), and its
    gradient is exactly zero in every step. Or every trained matrix of a model in which layers follow one another
    starts at zero: whatever gradients then come from biases, no input reaches the output. Or the gains of
    normalizations start at zero and their gradients are exactly zero in every step.
    ## Why it matters
    Units that start equal and are pushed equally stay equal for ever: a layer of 256 is a layer of one.
    ## How to fix
    Remove the `zeros_` or `constant_` on the weights, or use a random initialization.
    ## Source
    NeuraLint and TheDeepChecker (unbroken symmetry); Goodfellow et al. 2016, 8.4.
    ## Known false alarms
    None known: zero-initialized output layers, residual branches and LoRA factors get unequal gradients and are silent.
    """

    duplicated = Param(0.1, "equal rows by chance do not occur; pruned or padded rows stay below")
    checks = Param(3, "a partner that starts at zero gives the gradient from the second step on")

    def __call__(self, run: Run) -> Iterator[Finding]:
        order = {m.index: m.order for m in run.modules}
        root_of = {m.index: m.root for m in run.modules}
        matrices = [
            p
            for p in run.parameters
            if (p.role == "matrix" or (p.role == "embedding" and p.zero)) and run.trained(p) and p.shape[0] > 1
        ]
        if closed := list(self._closed(run)):
            yield from closed
            return
        if not matrices:
            raise NotApplicable("no trained weight matrix")
        # With those of a single output, which have no units to be equal.
        ends = [p for p in run.parameters if p.role == "matrix" and run.trained(p)]
        equal = [p for p in matrices if p.zero or p.constant or p.duplicate_rows > self.duplicated.value]
        groups: dict[int, list[ParameterInfo]] = {}
        unclear = 0
        for p in equal:
            root = root_of.get(p.module, -1)
            last = max((order.get(q.module, -1) for q in ends if root_of.get(q.module, -1) == root), default=-1)
            output = root >= 0 and order.get(p.module, -1) == last and last >= 0
            after = any(
                (q.zero or q.constant) and order.get(q.module, -1) > order.get(p.module, -1)
                for q in equal if root_of.get(q.module, -1) == root
            )  # fmt: skip
            verdict = self._stays_equal(p, output, after)
            if verdict is None:
                unclear += 1
            elif verdict:
                groups.setdefault(root, []).append(p)
        if unclear and not groups:
            raise NotEnoughEvidence("the gradients of equal units were not seen often enough")
        if not groups:
            groups = self._nothing_but_zeros(matrices, root_of)
        for root, stuck in groups.items():
            whole = [p for p in equal if root_of.get(p.module, -1) == root]
            names = [run.module(p.module) for p in stuck]
            place = common_path(m.path for m in names if m is not None) or stuck[0].name
            kind = (
                "zero" if all(p.zero for p in stuck) else "constant" if all(p.constant for p in stuck) else "repeated"
            )
            one = f"{stuck[0].name} starts" if len(stuck) == 1 else f"{len(stuck)} weight matrices of {place} start"
            yield Finding(
                f"{one} {kind}, so that {max(_share(p) for p in stuck):.0%} of the units equal another one, and "
                + self._consequence(stuck),
                location=most_common(p.write_location for p in [*stuck, *whole])
                or most_common(run.location_of(p) for p in stuck),
                module=place,
                evidence={
                    "matrices": len(stuck),
                    "kind": kind,
                    "duplicated": max(_share(p) for p in stuck),
                    "gradient": "some" if any(p.gradients_nonzero for p in stuck) else "zero",
                },
                parameters=tuple(p.index for p in stuck),
            )  # fmt: skip

    def _closed(self, run: Run) -> Iterator[Finding]:
        """Normalizations whose gains start at zero and get no gradient: behind them stands a ReLU, and all is zero.

        A residual branch that starts so has a gradient: something else than zero comes after it.
        """
        gains = [p for p in run.parameters if p.role == "gain" and p.zero and run.trained(p)]
        shut = [p for p in gains if p.gradient_checks >= self.checks.value and not p.gradients_nonzero]
        if shut:
            names = ", ".join(p.name for p in shut[:2]) + (", …" if len(shut) > 2 else "")
            yield Finding(
                f"The gains of {len(shut)} normalizations start at zero ({names}), and their gradients are exactly "
                "zero: nothing of the input passes, and nothing before them learns.",
                location=most_common(p.write_location for p in shut) or run.location_of(shut[0]),
                module=common_path(m.path for p in shut if (m := run.module(p.module)) is not None),
                evidence={"matrices": len(shut), "kind": "gains", "gradient": "zero"},
                parameters=tuple(p.index for p in shut),
                fix="Let the gains of normalizations start at one (nn.init.ones_), their biases at zero.",
            )

    @staticmethod
    def _nothing_but_zeros(matrices: list[ParameterInfo], root_of: dict[int, int]) -> dict[int, list[ParameterInfo]]:
        """Models in which layers follow one another and every matrix starts at zero: biases alone tell units apart."""
        found: dict[int, list[ParameterInfo]] = {}
        for root in {root_of.get(p.module, -1) for p in matrices} - {-1}:
            own = [p for p in matrices if root_of.get(p.module, -1) == root]
            follow = any(a is not b and a.shape[0] == b.shape[1] for a in own for b in own if len(b.shape) > 1)
            if follow and all(p.zero and p.gradients_nonzero for p in own):
                found[root] = own
        return found

    @staticmethod
    def _consequence(stuck: list[ParameterInfo]) -> str:
        if not any(p.gradients_nonzero for p in stuck):
            return "their gradient is exactly zero: they never change."
        if all(p.zero for p in stuck) and any((p.gradient_duplicate_rows or 0.0) < 0.9 for p in stuck):
            return (
                "no other matrix holds random values: only biases tell units apart, and inputs do not reach the output."
            )
        return "their gradients are equal too: they stay equal for ever."

    def _stays_equal(self, p: ParameterInfo, output: bool, symmetric_after: bool) -> bool | None:
        """Whether the units get equal gradients; None if too little was seen."""
        if p.gradients_seen == 0 and p.gradient_checks >= self.checks.value:
            return False  # cut off from the loss: C02
        if not p.gradients_nonzero:
            return (p.zero or p.constant) if p.gradient_checks >= self.checks.value else None
        if output or p.role == "embedding":
            return False  # classes that the first batch lacks get equal gradients, and different ones later
        if p.gradient_duplicate_rows is None:
            return None
        if p.zero:  # zero is no symmetry of its own: random or learnt weights after it tell the units apart
            return symmetric_after and p.gradient_duplicate_rows >= 0.9
        return p.gradient_duplicate_rows > self.duplicated.value


def _share(p: ParameterInfo) -> float:
    return 1.0 if p.zero or p.constant else p.duplicate_rows
