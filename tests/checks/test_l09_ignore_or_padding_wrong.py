"""L09 ignore-or-padding-wrong: padding that counts, a mean of nothing, a class that is ignored; and what is meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.checks.loss.l09_ignore_or_padding_wrong import ignored_tag
from flightcheck.recording.batches import Batch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossCall, LossSite, PaddedTarget
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 50)
SITE = LossSite(0, "cross_entropy", LINE)
TOKENS = LossCall(0, 0, True, [60, 12], [60], [], "float32", "int64", 2.0, -1, 1, 0, 11, classes=12)
PADDED = PaddedTarget(0, 0, 0, 0.4, 0, 1.0, 9)
LABELS = replace(TOKENS, input_shape=[60, 3], classes=3, label_counts=[0, 20, 20], ignored=20)
IMAGES = Batch(0, True, 0, "0", [60, 1, 8, 8], "float32", "", 0, 1, 0, 1, 0, 0)


def judge(call: LossCall, *more: Any, n: int = 6, **settings: Any) -> Verdict:
    calls = [replace(r, step=i) if hasattr(r, "step") else r for i in range(n) for r in (call, *more)]
    return verdict_of("L09", run_of(replace(SITE, settings=settings), *calls))


def test_padding_that_counts_fails() -> None:
    (finding,) = judge(TOKENS, PADDED).findings
    assert finding.location == LINE
    assert finding.fix == "Use ignore_index=0."
    assert finding.patch == "loss:ignore=0"


def test_padding_with_another_target_fails() -> None:
    (finding,) = judge(TOKENS, replace(PADDED, value=3), ignore_index=0).findings
    assert "-100" in finding.fix
    assert finding.patch == "", "the other id may stand for real tokens elsewhere"


def test_mean_of_nothing_fails() -> None:
    (finding,) = judge(replace(TOKENS, ignored=60, value=float("nan"))).findings
    assert "NaN" in finding.message


def test_class_that_is_ignored_warns() -> None:
    (finding,) = judge(LABELS, IMAGES, ignore_index=0).findings
    assert (finding.severity, finding.patch) == ("warn", "loss:ignore=-100")


BETWEEN = replace(
    TOKENS, target_shape=[64], classes=6, ignored=16, ignored_between=0.9, label_counts=[0, 12, 14, 15, 0, 7]
)  # no target is the id of the beginning, and the end is one in each row


def test_a_token_in_the_midst_of_rows_that_is_ignored_warns() -> None:
    (finding,) = judge(BETWEEN, ignore_index=0).findings
    assert (finding.severity, finding.patch) == ("warn", "loss:ignore=-100")


@pytest.mark.parametrize("change", [
    {"ignored_between": 0.1},  # padding
    {"ignored_between": None},  # nobody knows
    {"ignored": 40, "label_counts": [0, 6, 6, 6, 0, 6]},  # the words that are not masked, or those outside of a name
])  # fmt: skip
def test_tokens_that_are_ignored_on_purpose_pass(change: dict[str, Any]) -> None:
    assert judge(replace(BETWEEN, **change), ignore_index=0).status == "pass"


@pytest.mark.parametrize(
    ("padded", "settings"),
    [
        (PADDED, {"ignore_index": 0}),
        (replace(PADDED, value=-100), {}),
        (PADDED, {"reduction": "none"}),  # masked by hand
        (PADDED, {"weighted": True}),
        (replace(PADDED, share=0.01), {}),
        (replace(PADDED, agreement=0.9), {}),  # the id is data
        (replace(PADDED, lengths=1), {}),  # a border of equal width
    ],
)
def test_padding_that_is_left_out_passes(padded: PaddedTarget, settings: dict[str, Any]) -> None:
    assert judge(TOKENS, padded, **settings).status == "pass"


@pytest.mark.parametrize(
    ("call", "batch", "settings"),
    [
        (replace(LABELS, ignored=0, label_counts=[20, 20, 20]), IMAGES, {}),
        (LABELS, replace(IMAGES, shape=[60, 9], dtype="int64"), {"ignore_index": 0}),  # tokens
        (LABELS, replace(IMAGES, shape=[6, 1, 8, 8]), {"ignore_index": 0}),  # pixels
        (replace(LABELS, ignored=2, label_counts=[0, 29, 29]), IMAGES, {"ignore_index": 0}),  # a rare void label
        (replace(TOKENS, ignored=60, value=0.0), IMAGES, {"reduction": "sum"}),
    ],
)
def test_ignoring_on_purpose_passes(call: LossCall, batch: Batch, settings: dict[str, Any]) -> None:
    assert judge(call, batch, **settings).status == "pass"


def test_one_call_is_inconclusive() -> None:
    assert judge(TOKENS, PADDED, n=1).status == "inconclusive"


def test_without_class_ids_it_is_skipped() -> None:
    assert judge(replace(TOKENS, target_dtype="float32")).status == "skipped"


WORDS = ModuleInfo(1, "net.table", "Embedding", "embedding", 0, LINE, settings={"num_embeddings": 40})
TAGGED = replace(PADDED, inside=0.6)
COUNTED = Experiment("L09", "loss:ignore=-100", status="confirmed")


def test_a_label_of_tokens_that_padding_has_too_is_told_by_a_trial() -> None:
    (finding,) = judge(TOKENS, TAGGED, WORDS, COUNTED, ignore_index=0).findings
    assert (finding.patch, finding.evidence["share"]) == ("loss:ignore=-100", 0.6)
    assert judge(TOKENS, TAGGED, WORDS, ignore_index=0).status == "pass"
    assert judge(TOKENS, TAGGED, WORDS, replace(COUNTED, status="refuted"), ignore_index=0).status == "pass"


@pytest.mark.parametrize(
    ("padded", "words", "settings"),
    [
        (PADDED, WORDS, {"ignore_index": 0}),  # padding alone
        (TAGGED, replace(WORDS, settings={"num_embeddings": 12}), {"ignore_index": 0}),  # words that are left out
        (TAGGED, WORDS, {}),
        (replace(TAGGED, value=3), WORDS, {"ignore_index": 0}),
    ],
)
def test_of_other_labels_nothing_is_asked(padded: PaddedTarget, words: ModuleInfo, settings: dict[str, Any]) -> None:
    calls = [replace(r, step=i) for i in range(6) for r in (TOKENS, padded)]
    assert ignored_tag(run_of(replace(SITE, settings=settings), words, *calls)) is None
