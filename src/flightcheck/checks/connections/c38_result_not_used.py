"""C38: the forward pass computes something, and nothing reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, check
from flightcheck.recording.run import Run
from flightcheck.recording.wiring import UnusedResult

_OF_RESIDUALS: Final = re.compile(r"identity|residual|shortcut|skip|^res$|^input$|^inp$", re.IGNORECASE)
"""Names of what is to be added again at the end of a block."""


@check(
    "C38",
    "result-not-used",
    severity="error",
    evidence="X",
    needs=("UnusedResult", "modules"),
    fix="Give the result a name and go on with it: x = F.relu(x).",
)
class ResultNotUsed(Check):
    """The forward pass of a model computes something and goes on without it.

    ## What it checks
    The text of the forward passes of trained models, and what its names stand for. A module, or a function or method
    that gives a new tensor, is called in a statement of its own (`F.relu(x)`, `self.pos(x)`, `scores.masked_fill(…)`);
    the output of a layer gets its name overwritten before anything reads it (`h = self.a(x); h = self.b(x)`); or a
    block keeps its input under a name such as `identity` and never adds it (warning).
    ## Why it matters
    The model is another one than the code seems to say: without the activation, the mask, the positions, the layer.
    ## How to fix
    `x = F.relu(x)`, or the form in place (`scores.masked_fill_(…)`); `out = out + identity`.
    ## Source
    flake8-bugbear B018 and pyflakes F841 (a useless expression, an unused variable).
    ## Known false alarms
    Modules that work in place, that have hooks, or whose own forward pass keeps something (attributes, lists) are
    called for that and left out, as are those whose buffers the class reads (running statistics).
    """

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.modules:
            raise NotEnoughEvidence("no model was called")
        if not any(r.train_calls for r in run.roots):
            raise NotApplicable("no model was trained")
        together: dict[tuple[str, str], list[UnusedResult]] = {}
        for unused in run.recorded(UnusedResult):
            if unused.kind != "variable" or _OF_RESIDUALS.search(unused.name):
                together.setdefault((unused.owner, unused.kind), []).append(unused)
        for several in together.values():
            first = self._finding(run, several[0])
            lines = [u.location for u in several if u.location is not None]
            if len(several) > 1:
                more = ", ".join(str(line.line) for line in lines[1:])
                patches = dict.fromkeys(p for u in several if (p := self._finding(run, u).patch))
                first = replace(first, message=f"{first.message} So in line {more}.", patch=" + ".join(patches))
            yield first

    def _finding(self, run: Run, unused: UnusedResult) -> Finding:
        module = run.module(unused.module)
        path = module.path if module is not None else ""
        line = unused.location
        evidence = {"kind": unused.kind, "called": unused.called, "name": unused.name, "class": unused.owner}
        parameters = tuple(
            p.index
            for p in run.parameters
            if path and (m := run.module(p.module)) and (m.path == path or m.path.startswith(f"{path}."))
        )
        rule = "masked" if unused.called.endswith("masked_fill") else "assigned"
        if unused.kind == "variable":
            return Finding(
                f"{unused.owner}.forward keeps its input as {unused.name} and never reads it: it is not added to the "
                "output of the block.",
                location=line,
                evidence=evidence,
                severity="warn",
                fix=f"Add it before the block returns: out + {unused.name}.",
                patch=f"residual:{unused.owner}",
            )
        if unused.kind == "overwritten":
            return Finding(
                f"{unused.name} = {unused.called}(…) gets another value before anything reads it: what the layer "
                "computes reaches nothing.",
                location=line,
                module=path,
                evidence=evidence,
                parameters=parameters,
                fix=f"Give the next layer {unused.name}, or the two results names of their own.",
            )
        return Finding(
            f"The result of {unused.called}(…) is thrown away: {unused.owner} goes on with {unused.name} as it was.",
            location=line,
            module=path,
            evidence=evidence,
            parameters=parameters,
            fix=f"{unused.name} = {line.code}" if line is not None else "",
            patch=f"source:{rule}:{PurePath(line.file).name}:{line.line}" if line is not None else "",
        )
