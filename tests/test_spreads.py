"""How far predictions differ between examples, as what they mean."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from flightcheck.adapters.torch.spreads import relative_spread

torch.manual_seed(0)
SHARES = torch.rand(32, 6) * 0.8 + 0.1
CLASSES = torch.randint(0, 4, (32, 5))
SCORES = 20.0 * F.one_hot(CLASSES, 4).movedim(-1, 1).float()


@pytest.mark.parametrize(
    ("function", "perfect", "target"),
    [
        ("mse_loss", SHARES, SHARES),
        ("binary_cross_entropy", SHARES, SHARES),
        ("binary_cross_entropy_with_logits", torch.logit(SHARES), SHARES),
        ("poisson_nll_loss", SHARES.log(), SHARES),
        ("cross_entropy", SCORES, CLASSES),
    ],
)
def test_a_perfect_answer_spreads_as_the_targets_do(function: str, perfect: torch.Tensor, target: torch.Tensor) -> None:
    assert relative_spread(function, perfect, target, {}) == pytest.approx(1, abs=1e-3)
    assert relative_spread(function, perfect[:1].expand_as(perfect), target, {}) == pytest.approx(0, abs=1e-6)


def test_rates_that_are_no_logarithms() -> None:
    assert relative_spread("poisson_nll_loss", SHARES, SHARES, {"log_input": False}) == pytest.approx(1)


def test_what_has_no_spread_between_examples() -> None:
    assert relative_spread("mse_loss", SHARES[:, 0], SHARES[:, 0], {}) is None
    assert relative_spread("mse_loss", SHARES[:1], SHARES[:1], {}) is None
    assert relative_spread("mse_loss", SHARES, SHARES[:, :1], {}) is None
    assert relative_spread("mse_loss", SHARES, torch.ones_like(SHARES), {}) is None
    assert relative_spread("kl_div", SHARES, SHARES, {}) is None
    assert relative_spread("cross_entropy", SHARES, torch.zeros(32).long(), {}) is None
    assert relative_spread("cross_entropy", SCORES, torch.full((32, 5), -100), {}) is None
