"""The patch of targets that were shifted twice, and how it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from flightcheck.adapters.torch.patching.shifts import _moved
from flightcheck.adapters.torch.shifts import Embedded
from flightcheck.lab.source_edits import one_apart, shifted_once
from flightcheck.patch import Patch
from tests.lab.made import patched

IDS = torch.randint(0, 20, (8, 25), generator=torch.Generator().manual_seed(0))
X, Y = IDS[:, :-1], IDS[:, 1:]


def looked_up(ids: torch.Tensor) -> Embedded:
    seen = Embedded()
    seen.note((ids, torch.zeros(20, 4)), {})
    return seen


def test_a_target_that_is_shifted_twice_is_the_next_token_again() -> None:
    logits = torch.zeros(8, 24, 20, requires_grad=True) * 1.0
    cut = logits[:, :-1].reshape(-1, 20)
    assert torch.equal(_moved(Y[:, 1:].flatten(), cut.grad_fn, looked_up(X), -100), Y[:, :-1].flatten())
    first = logits.transpose(0, 1)[:-1]
    assert torch.equal(_moved(Y.T[1:], first.grad_fn, looked_up(X.T), -100), Y.T[:-1])


def test_where_the_inputs_end_the_target_before_is_taken_and_padding_stays() -> None:
    logits = torch.zeros(8, 23, 20, requires_grad=True) * 1.0
    target = IDS[:, 2:].clone()
    target[0, 5:] = -100
    moved = _moved(target, logits.grad_fn, looked_up(IDS[:, :23]), -100)
    assert torch.equal(moved[1:], IDS[1:, 1:24])
    assert torch.equal(moved[0, :5], IDS[0, 1:6])
    assert bool((moved[0, 5:] == -100).all())


@pytest.mark.parametrize("target", [Y.flatten(), X.flatten(), torch.rand(8, 24)], ids=["once", "not", "numbers"])
def test_other_targets_stay(target: torch.Tensor) -> None:
    logits = torch.zeros(8, 24, 20, requires_grad=True) * 1.0
    assert _moved(target, logits.flatten(0, 1).grad_fn, looked_up(X), -100) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("loss = ce(out[:, :-1].reshape(-1, v), y[:, 1:].reshape(-1))", "loss = ce(out.reshape(-1, v), y.reshape(-1))"),
        ("a, b = logits[..., :-1, :].contiguous(), labels[..., 1:]", "a, b = logits.contiguous(), labels"),
        ("out = out[:, :-1]", ""),
        ("loss = ce(model(x[:, :-1])[:, :-1], y[:, 1:])", ""),
    ],
)
def test_the_change_is_code(line: str, expected: str) -> None:
    assert shifted_once(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a, b = t[:, 1:], t[:, 1:]", "a, b = t[:, :-1], t[:, 1:]"),
        ("a, b = t[:, :-1], t[:, :-1]", "a, b = t[:, :-1], t[:, 1:]"),
        ("a, b = t[:, :-1], t[:, 1:]", ""),
        ("loss = ce(model(x), x)", ""),
    ],
)
def test_inputs_and_targets_one_apart(line: str, expected: str) -> None:
    assert one_apart(line) == expected


def test_a_trial_trains_on_the_next_token(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(20, 4), nn.Linear(4, 20))

    def loop() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(12):  # longer than the learning pass
            loss = nn.functional.cross_entropy(model(X)[:, :-1].reshape(-1, 20), Y[:, 1:].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    assert {t.shift for t in patched(tmp_path, "", loop).run.target_shifts} == {2}
    done = patched(tmp_path, "targets:unshift", loop)
    assert {t.shift for t in done.run.target_shifts} == {1}
    assert done.applied["targets:unshift"] == 12


def copier(target: torch.Tensor) -> tuple[nn.Module, Callable[[], None]]:
    """A model that sees the present token and a training on a target at each position of `X`."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 20))

    def loop() -> None:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        for _ in range(40):
            loss = nn.functional.cross_entropy(model(CYCLE).reshape(-1, 20), target.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return model, loop


CYCLE = (torch.arange(24)[None] + 3 * torch.arange(8)[:, None]) % 20
"""Sequences in which the next token follows from the present one."""


def test_a_copy_is_judged_by_the_next_token_and_learns_it_in_the_trial(tmp_path: Path) -> None:
    model, loop = copier(CYCLE)
    control = patched(tmp_path, "score:next", loop)
    assert {t.shift for t in control.run.target_shifts} == {0}
    mended, loop = copier(CYCLE)
    done = patched(tmp_path, "targets:next + score:next", loop)
    assert done.applied == {"targets:next": 40, "score:next": 40}
    assert control.trained.series("error")[-1] > 3.0 > 0.3 > done.trained.series("error")[-1]
    assert torch.equal(mended(CYCLE).argmax(-1)[:, :-1], CYCLE[:, 1:])
    assert torch.equal(model(CYCLE).argmax(-1), CYCLE)
    assert str(Patch.parse("targets:next").scored) == "score:next"


def test_the_next_token_already_is_no_place_for_it(tmp_path: Path) -> None:
    _, loop = copier((CYCLE + 1) % 20)
    assert patched(tmp_path, "targets:next", loop).applied == {}


def test_padding_stays_and_nothing_follows_the_last_token() -> None:
    logits = torch.zeros(8, 24, 20, requires_grad=True) * 1.0
    moved = _moved(X, logits.grad_fn, looked_up(X), 7, (0,))
    assert torch.equal(moved[:, :-1], X[:, 1:])
    assert bool((moved[:, -1] == 7).all())
