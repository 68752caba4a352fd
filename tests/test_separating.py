"""Statements written anew: layers of their own, results that are kept, parameters that are frozen."""

from __future__ import annotations

import pytest

from flightcheck.recording.rewriting import statement_at


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a = [nn.Linear(2, 2)] * n", "a = [nn.Linear(2, 2) for _ in range(n)]"),
        ("a = 4 * [make()]", "a = [make() for _ in range(4)]"),
        ("a = [A(), B()] * n", "a = [layer for _ in range(n) for layer in (A(), B())]"),
        ("m = S(*[A(), B()] * n, C())", "m = S(*[layer for _ in range(n) for layer in (A(), B())], C())"),
        ("m = L([block] * 3)", "m = L([__flightcheck__.deepcopy(block) for _ in range(3)])"),
        ("m = L([block for _ in range(3)])", "m = L([__flightcheck__.deepcopy(block) for _ in range(3)])"),
        ("m = L([make() for _ in range(3)])", ""),
        ("x = y * 3", ""),
    ],
)
def test_layers_of_their_own(old: str, new: str) -> None:
    assert statement_at(old, "separate", 1) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("F.relu(x)", "x = F.relu(x)"),
        ("self.pos(src)", "src = self.pos(src)"),
        ("scores.masked_fill(m, -9.5)", "scores = scores.masked_fill(m, -9.5)"),
        ("torch.relu(self.a(x))", ""),
        ("x = F.relu(x)", ""),
    ],
)
def test_results_that_are_kept(old: str, new: str) -> None:
    assert statement_at(old, "assigned", 1) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("p.require_grad = False", "p.requires_grad_(False)"),
        ("net.body.requires_grad = False", "net.body.requires_grad_(False)"),
        ("x = False", ""),
    ],
)
def test_parameters_that_are_frozen(old: str, new: str) -> None:
    assert statement_at(old, "frozen", 1) == new
