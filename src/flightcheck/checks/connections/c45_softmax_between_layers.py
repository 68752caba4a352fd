"""C45: a softmax stands between two layers, where an activation was meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks import depth
from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, check
from flightcheck.checks.depth import where
from flightcheck.recording.hidden_softmaxes import HiddenSoftmax
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_SEVERAL = 2
_LEARNS = 0.1
"""Share of its first loss that such a training does not lose."""


@check(
    "C45",
    "softmax-between-layers",
    severity="error",
    evidence="X",
    needs=("HiddenSoftmax",),
    fix="Replace the softmax between the layers by ReLU or GELU; a softmax belongs behind the last layer at most.",
)
class SoftmaxBetweenLayers(Check):
    """Hidden features are pressed into probabilities before the next layer gets them.

    ## What it checks
    Softmaxes over the features whose results go straight (or through dropout) into a linear layer with a bias, where
    the training hardly learns, or several layers of the model are fed so: an error where a trial with ReLU in its place
    learns better; information otherwise.
    ## Why it matters
    A softmax of n features gives numbers of about 1/n that add up to 1, whose differences a softmax in front makes
    smaller still: what reaches the next layer is nearly constant, and so is the gradient that comes back nearly zero.
    ## How to fix
    `x = F.relu(self.fc1(x))`.
    ## Source
    Islam et al. 2019, A comprehensive study on deep learning bug characteristics (wrong activation); Humbatova et al.
    2020, taxonomy of faults (wrong type of activation function).
    ## Known false alarms
    Mixtures of topics and assignments to clusters that a layer decodes: they learn, and are one softmax. Attention and
    gates, whose weights are multiplied with something, are no input of a layer.
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(HiddenSoftmax)
        if not found:
            raise NotApplicable("no softmax goes straight into a layer")
        if not suspects(run):
            return  # one, in a model that learns: a mixture of topics, decoded by a layer
        patch, first = with_relu(found), found[0]
        proven = any(e.status == "confirmed" for e in run.experiments if (e.question, e.patch) == ("C45", patch))
        module = run.module(first.module) if first.module >= 0 else None
        own = module is not None and module.type == "Softmax"
        made: Location | None = module.location if own and module is not None else None
        layers = sum(s.layers for s in found)
        fed = "1 layer is fed" if layers == 1 else f"{layers} layers are fed"
        yield Finding(
            f"{fed} with the probabilities of a softmax ({where(first.location)}: {first.features} numbers of about "
            f"{1 / first.features:.2g} that add up to 1) in the place of an activation.",
            location=made or first.location,
            module=module.path if own and module is not None else "",
            evidence={"features": first.features, "layers": layers, "lines": [str(s.location) for s in found]},
            severity=None if proven else "info",
            patch=patch,
        )


def suspects(run: Run) -> list[HiddenSoftmax]:
    """Those of a model that does not learn, or that has several."""
    found = run.recorded(HiddenSoftmax)
    several = sum(s.layers for s in found) >= _SEVERAL
    return found if found and (several or not _learns(run)) else []


def with_relu(found: list[HiddenSoftmax]) -> str:
    """The patch with ReLU in their places."""
    lines = (s.location for s in found)
    places = dict.fromkeys(f"{PurePath(at.file).name}:{at.line}" for at in lines if at is not None)
    return f"swap-activation:softmax@{','.join(places)}" if places else ""


def _learns(run: Run) -> bool:
    try:
        return depth.improvement(run) > _LEARNS
    except NotEnoughEvidence:
        return True
