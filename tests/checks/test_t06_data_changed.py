from __future__ import annotations

import numpy as np

from flightcheck.checks.base import Verdict, run_check
from flightcheck.checks.registry import all_checks, run_checks
from flightcheck.recording.digests import DataDigest, digest_of, hash_rows, joined, kept, label_counts
from flightcheck.recording.run import Run
from flightcheck.recording.sides import Sides
from flightcheck.testing import run_of

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.arange(40) % 4


def part(x: np.ndarray = X, y: np.ndarray = Y, role: str = "training", **more: object) -> DataDigest:
    fields = {"x": hash_rows(x), "y": hash_rows(y)}
    both = joined(fields)
    facts: dict[str, object] = {
        "fields": ["x", "y"], "examples": len(x), "hashed": len(x), "digest": digest_of(both), "rows": kept(both),
        "by_field": {n: digest_of(h) for n, h in fields.items()}, "labels": {"y": label_counts(y)},
    }  # fmt: skip
    return DataDigest(0, role, 0, **(facts | more))  # type: ignore[arg-type]


def verdict(first: Run, second: Run) -> Verdict:
    return run_check(all_checks()["T06"], Sides((first,), (second,)))


def relabelled() -> np.ndarray:
    y = Y.copy()
    y[9] = 3
    return y


def test_one_label() -> None:
    found = verdict(run_of(part()), run_of(part(y=relabelled())))
    assert found.status == "fail"
    (finding,) = found.findings
    assert finding.message == (
        "The training data differ in 1 of 40 examples (number 9, counted from 0); y and not x; label 1: 10 → 9, 3: 10 → 11."
    )
    assert finding.evidence == {"part": "training", "changed": 1, "places": [9], "fields": ["y"]}


def test_the_same_data_in_another_order_pass() -> None:
    assert verdict(run_of(part()), run_of(part(X[::-1], Y[::-1]))).status == "pass"


def test_names_of_the_fields_do_not_matter() -> None:
    renamed = part(fields=["images", "labels"], by_field={"images": "a", "labels": "b"})
    assert verdict(run_of(part()), run_of(renamed)).status == "pass"


def test_fewer_examples() -> None:
    (finding,) = verdict(run_of(part()), run_of(part(X[:30], Y[:30]))).findings
    assert finding.message.startswith("The training data differ: 40 and 30 examples")


def test_another_pairing_of_the_same_values() -> None:
    (finding,) = verdict(run_of(part()), run_of(part(y=np.roll(Y, 1)))).findings
    assert "which values belong together" in finding.message


def test_another_division_of_the_same_data_is_advice() -> None:
    (finding,) = verdict(run_of(part(base="aa")), run_of(part(X[::2], Y[::2], base="aa"))).findings
    assert finding.severity == "info"
    assert "another part of the same data set" in finding.message


def test_evaluation_data() -> None:
    test = part(X[:9], Y[:9], "evaluation")
    (finding,) = verdict(run_of(part(), test), run_of(part(), part(X[:8], Y[:8], "evaluation"))).findings
    assert finding.evidence["part"] == "evaluation"
    assert verdict(run_of(part(), test), run_of(part())).status == "pass", "not evaluated yet"


def test_large_data_that_were_sampled() -> None:
    sampled = part(examples=10**6)
    other = part(y=relabelled(), examples=10**6)
    (finding,) = verdict(run_of(sampled), run_of(other)).findings
    assert finding.evidence["changed"] is None


def test_unknown_data_are_inconclusive_with_the_reason() -> None:
    unknown = DataDigest(0, "training", 0, unknown="the dataset is a stream")
    found = verdict(run_of(part()), run_of(unknown))
    assert (found.status, "the dataset is a stream" in found.reason) == ("inconclusive", True)
    assert verdict(run_of(), run_of()).status == "inconclusive"


def test_it_is_not_asked_of_single_runs() -> None:
    assert not {"T06", "T08"} & {v.info.code for v in run_checks(run_of(part()))}
