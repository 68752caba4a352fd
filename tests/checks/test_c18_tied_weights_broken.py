"""C18 tied-weights-broken: copies and shared memory, and matrices that are one or were never meant to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.records import Location, ModuleInfo, OptimizerInfo, ParameterInfo
from flightcheck.recording.signals import WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of

COPY = Location("train.py", 14)
MODULES = [
    ModuleInfo(0, "model.embed", "Embedding", "embedding", 0, order=0),
    ModuleInfo(1, "model.head", "Linear", "linear", 0, order=1),
]
EMBEDDING = ParameterInfo(0, "embed.weight", 0, [20, 8], "embedding", optimizers=[0], first_values="a1")
HEAD = ParameterInfo(1, "head.weight", 1, [20, 8], "matrix", optimizers=[0], first_values="a1", write_location=COPY)
ADAM = OptimizerInfo(0, "Adam", None, [{"lr": 0.01}], [0, 1], steps=10)


def judge(head: ParameterInfo = HEAD, *, apart: float = 0.1, n: int = 4, modules: Any = MODULES) -> Verdict:
    norms = [[5.0 + i, 5.0 + i + apart * i] for i in range(n)]
    return verdict_of("C18", run_of(*modules, EMBEDDING, head, ADAM, series={WEIGHT_NORM: norms}))


def test_copy_instead_of_a_tie_warns() -> None:
    (finding,) = judge().findings
    assert (finding.location, finding.parameters) == (COPY, (0, 1))


def test_two_parameters_on_one_memory_warn() -> None:
    (finding,) = judge(replace(HEAD, shares_memory_with=0), apart=0.0).findings
    assert finding.evidence["same_memory"]


@pytest.mark.parametrize("head", [replace(HEAD, first_values="b2"), replace(HEAD, first_values="")])
def test_different_values_pass(head: ParameterInfo) -> None:
    assert judge(head).status == "pass"


@pytest.mark.parametrize(
    "head",
    [
        replace(HEAD, shape=[8, 20]),
        replace(HEAD, loaded=True),
        replace(HEAD, requires_grad=False),
        replace(HEAD, optimizers=[]),
    ],
)
def test_other_matrices_are_skipped(head: ParameterInfo) -> None:
    assert judge(head).status == "skipped"


def test_another_model_is_skipped() -> None:
    assert judge(modules=[MODULES[0], replace(MODULES[1], root=1)]).status == "skipped"


def test_one_look_is_inconclusive() -> None:
    assert judge(n=1).status == "inconclusive"
