"""Layers that turn the gradient round, by their source."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.provenance.reversals import reverses_gradients

FUNCTION = """
class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        {body}
"""


@pytest.mark.parametrize(
    ("body", "reverses"),
    [
        ("return -ctx.scale * grad, None", True),
        ("return grad.neg() * ctx.scale, None", True),
        ("out = grad.clone() * -ctx.scale; return out, None", True),
        ("return -grad", True),
        ("return grad * ctx.scale, None", False),
        ("return -grad / ctx.x ** 2, None", False),  # of 1 / x
        ("return -grad * torch.sin(ctx.x), None", False),
        ("return grad, -ctx.scale", False),
    ],
)
def test_what_backward_returns(body: str, reverses: bool, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(FUNCTION.format(body=body))
    assert reverses_gradients(str(file)) is reverses


@pytest.mark.parametrize(
    ("code", "reverses"),
    [("h.register_hook(lambda g: -0.1 * g)", True), ("h.register_hook(lambda g: g.clamp(-1, 1))", False), ("(", False)],
)
def test_hooks(code: str, reverses: bool, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(code)
    assert reverses_gradients(str(file)) is reverses
