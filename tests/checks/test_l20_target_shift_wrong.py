"""L20 target-shift-wrong: shifted twice, not at all, once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import flightcheck
from flightcheck.adapters.torch.shifts import CutIds, Layout, hidden_id, shift_of
from flightcheck.checks.base import Verdict
from flightcheck.recording.experiments import Probe
from flightcheck.recording.loss_records import LossSite, TargetShift
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

SITE = LossSite(0, "cross_entropy", Location("train.py", 32), train_calls=10)
TWICE = TargetShift(0, 0, 2, 300, 1.0, 0, Location("train.py", 31))
COPY = TargetShift(0, 0, 0, 300, 1.0, 0, None, Location("train.py", 30))
CAUSAL = Probe("leaks", {"future": 0.0, "copies": True, "next_token": False, "present": 0.3})


def judge(*shifts: TargetShift, probe: Probe | None = None, n: int = 2) -> Verdict:
    records: list[Any] = [replace(s, step=i) for i in range(n) for s in shifts]
    return verdict_of("L20", run_of(SITE, replace(SITE, index=1), *records, *([probe] if probe else [])))


def test_a_target_that_is_shifted_twice_is_told_at_the_slice_of_the_outputs() -> None:
    (finding,) = judge(TWICE).findings
    assert finding.location == TWICE.slice_location
    assert finding.patch == "targets:unshift"


def test_without_a_slice_the_line_of_the_target_is_named_or_the_loss() -> None:
    made = Location("train.py", 12)
    (finding,) = judge(replace(TWICE, slice_location=None, target_location=made)).findings
    assert finding.location == made
    (finding,) = judge(replace(TWICE, slice_location=None)).findings
    assert finding.location == SITE.location


def test_a_causal_model_that_is_to_copy_its_input_is_told_at_the_targets() -> None:
    (finding,) = judge(COPY, probe=CAUSAL).findings
    assert finding.location == COPY.target_location


@pytest.mark.parametrize(
    "changed", [{"future": 0.3}, {"present": 0.0}], ids=["autoencoder", "the model shifts its input itself"]
)
def test_the_token_itself_may_be_the_target(changed: dict[str, Any]) -> None:
    assert judge(COPY, probe=Probe("leaks", {**CAUSAL.result, **changed})).status == "pass"


def test_a_stream_that_is_put_right_passes() -> None:
    assert judge(replace(COPY, agreement=0.96), probe=CAUSAL).status == "pass"


def test_several_heads_and_the_next_token_pass() -> None:
    assert judge(replace(TWICE, shift=1)).status == "pass"
    assert judge(TWICE, replace(TWICE, site=1, shift=1)).status == "pass"
    assert judge(TWICE, replace(TWICE, site=1, shift=3)).status == "pass"


def test_little_is_inconclusive_and_nothing_is_skipped() -> None:
    assert judge(TWICE, n=1).status == "inconclusive"
    assert judge(COPY).status == "inconclusive"
    assert verdict_of("L20", run_of(SITE)).status == "skipped"


@pytest.mark.parametrize(("both_ways", "moved", "told"), [(False, 0, True), (True, 0, False), (False, 1, False)])
def test_a_decoder_that_no_model_calls(tmp_path: Path, both_ways: bool, moved: int, told: bool) -> None:
    """Its layers are called one by one, so no copy of a whole model can be asked."""
    torch.manual_seed(0)
    embed, drop = nn.Embedding(20, 8), nn.Dropout(0.1)
    layer, head = nn.GRU(8, 8, batch_first=True, bidirectional=both_ways), nn.Linear(16 if both_ways else 8, 20)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        optimizer = torch.optim.SGD([p for m in (embed, layer, head) for p in m.parameters()], lr=0.01)
        for _ in range(4):
            ids = torch.randint(0, 20, (8, 13))
            logits = head(layer(drop(embed(ids[:, :-1])))[0])
            optimizer.zero_grad()
            cross_entropy(logits.flatten(0, 1), ids[:, moved : 12 + moved].flatten()).backward()
            optimizer.step()
    assert seen.diagnosis is not None
    assert [f.code for f in seen.diagnosis.findings if f.code == "L20"] == (["L20"] if told else [])


def test_tokens_that_a_forward_layer_sees_need_no_trial() -> None:
    assert judge(replace(COPY, forward_only=True)).status == "fail"


# What is recorded of a loss call ----------------------------------------------------------------------------------

IDS = torch.randint(0, 20, (8, 25), generator=torch.Generator().manual_seed(0))
X, Y = IDS[:, :-1], IDS[:, 1:]
LOGITS = torch.zeros(8, 24, 20, requires_grad=True)


def recorded(output: torch.Tensor, target: torch.Tensor, ids: torch.Tensor = X, ignored: int = -100) -> Any:
    cross_entropy(output, target, ignore_index=ignored)
    found = shift_of(target, output.grad_fn, [ids], site=0, step=0, ignored=ignored, lines={}, cut=CutIds())
    return (found.shift, found.start) if found else None


def test_shifts_are_read_off_ids_targets_and_slices() -> None:
    logits = LOGITS * 1.0
    assert recorded(logits.flatten(0, 1), Y.flatten()) == (1, 0)
    assert recorded(logits[:, :-1].reshape(-1, 20), Y[:, 1:].reshape(-1)) == (2, 0)
    assert recorded(logits.transpose(1, 2)[:, :, :-1], Y[:, 1:]) == (2, 0)
    assert recorded(logits[..., :-1, :].contiguous().view(-1, 20), X[..., 1:].reshape(-1)) == (1, 0)
    assert recorded(logits[:, 1:].flatten(0, 1), X[:, 1:].flatten()) == (0, 1)
    assert recorded(logits[:, 4:-1].flatten(0, 1), X[:, 5:].flatten()) == (1, 4)
    first = logits.transpose(0, 1)
    assert recorded(first[:-1].reshape(-1, 20), Y.T[1:].reshape(-1), X.T) == (2, 0)


def test_padding_that_is_ignored_does_not_count() -> None:
    x, y = X.clone(), torch.roll(X, -2, 1)
    x[:, 12:], y[:, 10:] = 0, -100
    assert recorded((LOGITS * 1.0).flatten(0, 1), y.flatten(), x) == (2, 0)


def test_what_cannot_be_told_is_not_recorded() -> None:
    logits = LOGITS * 1.0
    twice = torch.roll(X, -2, 1)
    assert recorded(logits.flatten(0, 1), torch.full_like(X, 3).flatten(), torch.full_like(X, 3)) is None
    assert recorded(logits.flatten(0, 1), (twice + 1).remainder(20).flatten()) is None
    period = torch.arange(24).remainder(2).expand(8, 24)
    assert recorded(logits.flatten(0, 1), torch.roll(period, -2, 1).flatten(), period) is None
    masked = torch.where(torch.arange(24) % 6 == 0, X, -100)
    assert recorded(logits.flatten(0, 1), masked.flatten()) is None
    assert recorded(logits[:, ::2].flatten(0, 1), twice[:, ::2].flatten()) is None
    assert recorded((logits[:, :-1] * 1.0).flatten(0, 1), twice[:, :-1].flatten()) is None  # the slice is not seen


def test_the_line_that_cut_the_target_is_found_again() -> None:
    cut, line = CutIds(), Location("train.py", 12)
    cut.note(IDS[3, 2:], line)
    cut.note(IDS[:, :4], Location("train.py", 13))
    assert cut.line_of(IDS[:, 2:]) == line
    assert cut.line_of(IDS[:, 3:]) is None


def test_a_target_before_the_token_that_a_causal_model_was_given() -> None:
    (finding,) = judge(replace(COPY, shift=-1), probe=CAUSAL).findings
    assert finding.location == COPY.target_location
    assert finding.patch == "targets:next"
    assert judge(replace(COPY, shift=-1), probe=Probe("leaks", {**CAUSAL.result, "future": 0.3})).status == "pass"


def test_the_mask_of_a_masked_language_model_that_is_inverted() -> None:
    (finding,) = judge(replace(COPY, hidden=30), probe=Probe("leaks", {**CAUSAL.result, "future": 0.3})).findings
    assert "id 30" in finding.message
    assert finding.location == SITE.location


@pytest.mark.parametrize(("which", "hidden"), [("inverted", 9), ("masked", None), ("padding", None), ("all", None)])
def test_the_id_that_stands_where_the_loss_does_not_look(which: str, hidden: int | None) -> None:
    torch.manual_seed(0)
    tokens = torch.randint(1, 9, (16, 20))
    chosen = torch.rand(16, 20) < 0.2
    if which == "padding":
        chosen = torch.arange(20) >= torch.randint(8, 18, (16, 1))
    ids, target = tokens.masked_fill(chosen, 9), tokens.clone()
    if which != "all":
        target[~chosen if which == "masked" else chosen] = -100
    assert hidden_id(Layout(ids, target, 0, 1), -100) == hidden


def test_padding_that_is_left_out_as_well_hides_no_inverted_mask() -> None:
    torch.manual_seed(0)
    tokens, length = torch.randint(2, 9, (64, 20)), torch.randint(8, 12, (64, 1))
    chosen, padding = torch.rand(64, 20) < 0.2, torch.arange(20) >= length
    ids = tokens.masked_fill(chosen, 1).masked_fill(padding, 0)
    assert hidden_id(Layout(ids, tokens.masked_fill(chosen | padding, -100), 0, 1), -100) == 1
