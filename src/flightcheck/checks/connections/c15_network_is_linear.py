"""C15: layers without an activation between them, which together are one layer."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, check
from flightcheck.checks.depth import own_line
from flightcheck.recording.loss_records import LinearStack
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "C15",
    "network-is-linear",
    severity="warn",
    evidence="H",
    needs=("LinearStack", "loss_calls", "modules"),
    fix="Put an activation, such as nn.ReLU(), behind each hidden layer.",
    patch="insert-activation:relu",
)
class NetworkIsLinear(Check):
    """The model has several layers and no activation between them: it is a linear model.

    ## What it checks
    The graph of the prediction: each operation between the data and the output (but for one activation at the very end)
    is affine, two or more matrices of parameters follow one another, and none of them is narrower than both ends.
    ## Why it matters
    A product of matrices is a matrix. The model can draw straight lines only, however many layers it has.
    ## How to fix
    An activation behind each layer but the last: `nn.ReLU()` in the `Sequential`, or `x = F.relu(self.fc1(x))`.
    ## Source
    NeuraLint (missing activation); UMLAUT. The width: a narrow layer in the middle is a factorization on purpose.
    ## Known false alarms
    Studies of deep linear networks: there the trial with activations does not help, and the finding is refuted.
    Embeddings count as data, not as layers; depthwise convolutions belong to the pointwise ones beside them.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.recorded(LinearStack):
            if not any(c.training for c in run.loss_calls):
                raise NotEnoughEvidence("no loss was seen whose prediction could be followed")
            return
        for stack in run.recorded(LinearStack):
            if self._collapses(run, stack):
                yield self._finding(run, stack)
                return
        if all(len(s.inputs) < 2 for s in run.recorded(LinearStack)):
            raise NotApplicable("the model has one layer only")

    @staticmethod
    def _collapses(run: Run, stack: LinearStack) -> bool:
        hidden = stack.outputs[:-1]
        trained = {p.index for p in run.parameters if run.trained(p)}
        return (
            bool(hidden)
            and len(trained.intersection(stack.parameters)) > 1
            and min(hidden) >= min(stack.inputs[0], stack.outputs[-1])
        )

    @staticmethod
    def _finding(run: Run, stack: LinearStack) -> Finding:
        widths = " → ".join(map(str, (*stack.inputs[:1], *stack.outputs)))
        module = run.module(stack.modules[0])
        matrices = [p for p in stack.parameters if p >= 0]
        again = max(map(matrices.count, matrices), default=1)
        what = (
            f"The {len(stack.inputs)} layers ({widths}) have no activation between them: together they are one linear "
        )
        what += f"layer from {stack.inputs[0]} to {stack.outputs[-1]}."
        if again > 1:  # a recurrence written by hand: one layer, which hands its state to itself
            number = len(stack.inputs) - len(matrices) + len(set(matrices))
            what = f"The {number} layers ({widths}; one is called {again} times in a row) have no activation between "
            what += "them, and none from one call to the next: the whole is linear, however long the sequence."
        return Finding(
            what,
            location=_line(run, stack),
            module=module.path if module else "",
            evidence={"layers": len(stack.inputs), "widths": [stack.inputs[0], *stack.outputs]},
            parameters=tuple(matrices),
            fix="Put an activation behind each hidden layer: torch.tanh for a state that is handed on."
            if again > 1
            else "",
        )


def _line(run: Run, stack: LinearStack) -> Location | None:
    """Where the activation belongs: behind the layer in its Sequential, else where the layer is called."""
    module = run.module(stack.modules[0])
    if module is None:
        return stack.location
    parent = next((m for m in run.modules if m.path == module.path.rpartition(".")[0]), None)
    if parent is not None and parent.type == "Sequential":
        return own_line(run, module) or stack.location
    return stack.location or module.location
