"""A diff is code of the script, or is not shown."""

from __future__ import annotations

import pytest

from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.script_code import of_the_script
from flightcheck.lab.source_edits import with_causal_mask, with_one_shape
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.testing import run_of

SCRIPT = """import torch
from torch.nn import functional as F

def step(net, opt, xb, yb):
    w = (q @ k).softmax(-1)
    loss = F.mse_loss(net(xb), yb)
    loss.backward()
    opt.step()
"""


@pytest.mark.parametrize(
    "diff",
    [
        "- w = (q @ k).softmax(-1)\n+ # the same with a causal mask: generate_square_subsequent_mask(length)",
        "+ prediction = prediction.reshape(target.shape)  # before the two are compared",
        "+ opt.add_param_group({'params': [p for p in net.parameters() if p not in held]})",
        "- loss = criterion(out, yb)\n+ loss = F.mse_loss(net(xb), yb)",
        "+ optimizer.zero_grad()  # before loss.backward()",
        "+ loss = loss *",
    ],
)
def test_what_is_no_code_of_the_script_is_left_to_words(diff: str) -> None:
    assert of_the_script(diff, [SCRIPT]) == ""
    assert of_the_script(diff, []) == diff


@pytest.mark.parametrize(
    "diff",
    [
        "- loss = F.mse_loss(net(xb), yb)\n+ loss = F.mse_loss(net(xb).reshape(yb.shape), yb)",
        "+ opt.zero_grad()  # before loss.backward()",
        "- opt.step()",
        "+ order = torch.randperm(len(xb))\n+ xb = xb[order]",
        "- F.mse_loss(net(xb), yb)\n+ F.mse_loss(net(xb), torch.stack([y for y in yb])",
        "",
    ],
)
def test_code_of_the_script_is_shown(diff: str) -> None:
    assert of_the_script(diff, [SCRIPT]) == diff


def test_modules_have_the_names_that_the_script_has() -> None:
    told = of_the_script("- w = (q @ k).softmax(-1)\n+ w = nn.Identity()(q @ k)", [SCRIPT])
    assert told.endswith("+ w = torch.nn.Identity()(q @ k)")


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("loss = F.mse_loss(net(xb), yb)", "loss = F.mse_loss(net(xb).reshape(yb.shape), yb)"),
        ("loss = crit(out, batch['y'])", "loss = crit(out.reshape(batch['y'].shape), batch['y'])"),
        ("loss = ((out - y) ** 2).mean()", "loss = ((out - y) ** 2).mean()"),
        ("loss = crit(a + b, y)", "loss = crit(a + b, y)"),
        ("loss = crit(f(a, b), g(c, d))", "loss = crit(f(a, b), g(c, d))"),
    ],
)
def test_the_prediction_in_the_shape_of_the_target(line: str, new: str) -> None:
    assert with_one_shape(line) == new


def test_a_causal_mask_where_an_option_is_enough() -> None:
    line = "y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.p)"
    assert with_causal_mask(line) == line[:-1] + ", is_causal=True)"
    assert with_causal_mask("y = attend(q, k, v)") == "y = attend(q, k, v)"
    finding = Finding("", location=Location("train.py", 3, code=line))
    assert diff_of([Patch("mask", "causal")], finding, run_of()) == f"- {line}\n+ {line[:-1]}, is_causal=True)"


def test_the_diff_does_what_the_advice_says() -> None:
    line = "loss = crit(out, y)"
    advice = "prediction.squeeze(-1), so that both have the shape (32,)."
    finding = Finding("", location=Location("train.py", 3, code=line), fix=advice)
    assert diff_of([Patch("align-shapes")], finding, run_of()) == f"- {line}\n+ loss = crit(out.squeeze(-1), y)"
    assert with_one_shape(line, "target.squeeze(1), so that …") == "loss = crit(out, y.squeeze(1))"
    assert with_one_shape(line, "Give prediction and target the same shape.") == "loss = crit(out.reshape(y.shape), y)"
