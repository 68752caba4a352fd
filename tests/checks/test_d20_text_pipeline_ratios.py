"""D20 text-pipeline-ratios."""

from __future__ import annotations

from typing import Any

import torch

from flightcheck.adapters.torch.features import token_facts
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import ORIGIN, batches

IDS = {"dtype": "int64", "first_module": "embedding", "shape": [32, 40]}


def run(n: int = 8, **changes: Any) -> Any:
    return verdict_of("D20", run_of(*batches(n, **{**IDS, **changes})))


def test_mostly_padding() -> None:
    (finding,) = run(padding=0.7).findings
    assert "70%" in finding.message
    assert finding.location == ORIGIN


def test_two_start_tokens() -> None:
    (finding,) = run(padding=0.1, leading=2).findings
    assert "token 2 twice" in finding.message


def test_usual_batches_pass() -> None:
    assert run(padding=0.4).status == "pass"


def test_few_batches_are_inconclusive() -> None:
    assert run(3, padding=0.9).status == "inconclusive"


def test_numbers_are_skipped() -> None:
    assert run(first_module="linear", padding=0.9).status == "skipped"


def test_padding_is_the_run_at_the_ends_of_rows() -> None:
    ids = torch.arange(1, 81).reshape(8, 10)
    ids[:6, 5:] = 0
    assert token_facts(ids)["padding"] == 30 / 80
    ids[:, :2] = 7
    assert token_facts(ids)["leading"] == 7


def test_ids_without_padding() -> None:
    assert not {"padding", "leading"} & token_facts(torch.arange(80).reshape(8, 10)).keys()
