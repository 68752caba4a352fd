"""P09: a parameter that is updated twice per step."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters._opposed import moved_against_itself
from flightcheck.recording.records import ParameterInfo
from flightcheck.recording.run import Run


@check(
    "P09",
    "parameter-duplicated",
    severity="warn",
    evidence="X",
    needs=("parameters", "optimizers", "calls"),
    fix="Let exactly one optimizer hold each parameter, once.",
)
class ParameterDuplicated(Check):
    """One optimizer holds a parameter twice, or two optimizers step it with the same gradient.

    ## What it checks
    A parameter that stands more than once in one optimizer; a parameter in two optimizers that both step without a
    backward pass between them; all of a model whose outputs another one judges in the optimizer of the latter, too,
    where the two losses push the judgements in opposite directions.
    ## Why it matters
    Each round then moves it twice: the learning rate is doubled for some layers, moments and weight decay are wrong.
    ## How to fix
    Remove one of the two: often `model.parameters()` plus the parameters of one of its parts.
    ## Source
    PyTorch behaviour: a duplicate within one group only warns, across optimizers it is silent.
    ## Known false alarms
    Optimizers that alternate on purpose, each after a backward pass of its own (adversarial autoencoders,
    actor–critic with a common trunk), are info; stages one after the other are not reported.
    """

    rounds = Param(3, "twice per round is a habit of the loop, not one extra step")

    def __call__(self, run: Run) -> Iterator[Finding]:
        stepping = {o.index: o for o in run.optimizers if o.steps}
        if not run.optimizers:
            raise NotApplicable("no optimizer")
        if not stepping:
            raise NotEnoughEvidence("no optimizer stepped in the watched steps")
        twice: dict[int, list[ParameterInfo]] = defaultdict(list)
        shared: dict[tuple[int, int], list[ParameterInfo]] = defaultdict(list)
        for p in run.parameters:
            if not p.requires_grad:
                continue
            counts = Counter(o for o in p.optimizers if o in stepping)
            for optimizer, n in counts.items():
                if n > 1:
                    twice[optimizer].append(p)
            holders = sorted(counts)
            for i, a in enumerate(holders):
                for b in holders[i + 1 :]:
                    shared[a, b].append(p)
        for optimizer, parameters in twice.items():
            o = stepping[optimizer]
            yield self._finding(run, parameters, f"stand twice in {o.type}: each step updates them twice", o.location)
        for (a, b), parameters in shared.items():
            together, apart = self._rounds(run, a, b)
            both = f"{stepping[a].type} and {stepping[b].type}"
            if together >= self.rounds.value and together > apart:
                yield self._finding(
                    run,
                    parameters,
                    f"are held by two optimizers ({both}) that both step after one backward pass ({together} times): "
                    "every gradient is applied twice",
                    stepping[b].location,
                )
            elif apart >= self.rounds.value and (pair := moved_against_itself(run, parameters)) is not None:
                names = {r.index: r.name for r in run.roots}
                judge, maker = names.get(pair.judge, "the judge"), names.get(pair.maker, "the maker")
                yield self._finding(
                    run,
                    parameters,
                    f"are held by two optimizers ({both}) that take turns, one of which holds {judge} as well: its "
                    f"loss pushes the judgements of what {maker} makes one way, and the loss of the other one pushes "
                    "them the other way, so each undoes what the other did",
                    stepping[max((a, b), key=lambda o: sum(o in p.optimizers for p in run.parameters))].location,
                )
            elif apart >= self.rounds.value:
                yield self._finding(
                    run,
                    parameters,
                    f"are held by two optimizers ({both}) that take turns; fine if both losses are meant to train them",
                    stepping[b].location,
                    info=True,
                )

    def _rounds(self, run: Run, a: int, b: int) -> tuple[int, int]:
        """How often both optimizers stepped after the same backward pass, and how often after one of their own."""
        together = apart = 0
        last = -1
        fresh = True
        for call in run.calls:
            if call.kind in {"backward", "autograd_grad"}:
                fresh = True
            elif call.kind == "step" and call.subject in (a, b):
                if last not in (-1, call.subject):
                    together += not fresh
                    apart += fresh
                last, fresh = call.subject, False
        return together, apart

    @staticmethod
    def _finding(run: Run, parameters: list[ParameterInfo], what: str, location: object, info: bool = False) -> Finding:
        from flightcheck.recording.records import Location

        modules = sorted({m.path for p in parameters if (m := run.module(p.module))})
        names = ", ".join((modules or [p.name for p in parameters])[:3]) + (", …" if len(modules) > 3 else "")
        n = len(parameters)
        return Finding(
            f"{n} parameter{'s' if n > 1 else ''} ({names}) {what}.",
            location=location if isinstance(location, Location) else None,
            module=modules[0] if len(modules) == 1 else "",
            evidence={"parameters": n, "modules": modules[:8]},
            severity="info" if info else None,
            parameters=tuple(p.index for p in parameters),
        )
