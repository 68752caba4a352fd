"""P37: values of an optimizer's options that landed on other options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.optimizer_options import A_MOMENTUM, AN_EPSILON, NO_AVERAGE, NO_EPSILON, misplaced
from flightcheck.recording.run import Run


@check(
    "P37",
    "optimizer-options-misplaced",
    severity="error",
    evidence="X",
    needs=("optimizers",),
    fix="Give the options of an optimizer by name: torch.optim.SGD(params, lr=…, momentum=0.9, weight_decay=5e-4).",
    patch="options:moved",
)
class OptimizerOptionsMisplaced(Check):
    """An optimizer's options hold each other's values: arguments in another order than that of the signature.

    ## What it checks
    Pairs of options whose values nobody means: SGD with a momentum below 0.05 (or none) and a dampening of a half or
    more; a momentum above 0 and below 0.05 beside a weight decay of a half or more; Adam's betas with the first above
    the second and its square above the second's root, where Adam does not converge; a weight decay of 1e-7 or less
    beside an epsilon of 1e-5 or more; RMSprop with an alpha above 0 and below 0.05, which averages nothing.
    ## Why it matters
    `SGD(params, 0.01, 5e-4, 0.9)` has no momentum and no weight decay, and its dampening makes each step a tenth: it
    trains a hundred times as slowly as the same numbers in their place. No error is raised.
    ## How to fix
    Name the options. In order they are, for SGD, `lr, momentum, dampening, weight_decay`; for Adam, `lr, betas, eps,
    weight_decay`; for RMSprop, `lr, alpha, eps, weight_decay, momentum`.
    ## Source
    PyTorch, torch.optim (signatures, and the update of SGD with dampening); Kingma and Ba 2015, Adam (convergence needs
    the square of beta1 below the root of beta2).
    ## Known false alarms
    A small momentum or dampening alone is silent, and so is a dampening beside a momentum (an average of gradients).
    """

    none = Param(NO_AVERAGE, "such a decay rate averages over 1.05 steps")
    momentum = Param(A_MOMENTUM, "averages over two steps; as a weight decay it would erase weights within steps")
    decay = Param(AN_EPSILON, "decays nothing, at any learning rate")
    epsilon = Param(NO_EPSILON, "the largest epsilon in common use, that of agents")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.optimizers:
            raise NotApplicable("no optimizer: parameters are updated by hand, if at all")
        stepping = [o for o in run.optimizers if o.steps]
        if not stepping:
            raise NotEnoughEvidence("no optimizer stepped in the watched steps")
        told = set()
        for optimizer in stepping:
            group, right = next(((g, r) for g in optimizer.groups if (r := misplaced(optimizer.type, g))), ({}, {}))
            if not right or optimizer.location in told:
                continue
            told.add(optimizer.location)
            options = ", ".join(f"{k}={_written(v)}" for k, v in right.items() if k != "dampening")
            has = " and ".join(f"{k} {_written(group.get(k))}" for k in right if group.get(k))
            yield Finding(
                f"{optimizer.type} has {has}. {_meaning(right, group)} In their own places the values are {options}.",
                location=optimizer.location,
                evidence={k: _written(group.get(k)) for k in right} | {"options": options},
                parameters=tuple(dict.fromkeys(optimizer.parameters)),
                fix=f"Name the options: {optimizer.type}(…, {options}).",
            )


_MEANINGS: Final = {
    "eps": "Such a weight decay does nothing, and such an epsilon decides the size of the steps.",
    "alpha": "Such an alpha averages nothing: each gradient is divided by its own size.",
    "betas": "The gradients are averaged over more steps than their squares: Adam does not converge so.",
}


def _meaning(right: Mapping[str, Any], group: Mapping[str, Any]) -> str:
    if "dampening" in right:
        if not group.get("momentum"):
            return "Without momentum a dampening does nothing."
        return f"That is no momentum, and each step is {1 - group['dampening']:.2g} times the gradient's."
    return next((text for name, text in _MEANINGS.items() if name in right), "That is no momentum, and erases weights.")


def _written(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"({', '.join(f'{v:g}' for v in value)})"
    return f"{value or 0:g}"
