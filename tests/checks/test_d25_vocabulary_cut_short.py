"""D25 vocabulary-cut-short: information until a trial with all words shows what was lost."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from flightcheck.adapters.torch.features import token_facts
from flightcheck.checks.data.d25_vocabulary_cut_short import cut_vocabulary
from flightcheck.recording.data_files import DataFile
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import batches

CUT = Location("work/train.py", 7, "", "keep = counts.most_common(30)")
TEXTS: dict[str, Any] = {
    "first_module": "embedding", "dtype": "int64", "distinct": 31, "commonest": 0, "common_share": 0.4, "origin": CUT,
}  # fmt: skip
FILE = DataFile(0, CUT.file, cut=CUT)
PROOF = Experiment("D25", "source:uncut:train.py:7", status="confirmed", metric="error", before=1.38, after=0.2)


def test_a_vocabulary_that_lost_the_words_that_matter() -> None:
    (finding,) = verdict_of("D25", run_of(FILE, *batches(6, **TEXTS), PROOF)).findings
    assert finding.severity is None and finding.location == CUT and finding.patch == PROOF.patch
    assert "Token 0 stands at 40%" in finding.message and "is 0.2 and not 1.38" in finding.message


def test_without_a_proof_it_is_information() -> None:
    (finding,) = verdict_of("D25", run_of(FILE, *batches(6, **TEXTS))).findings
    assert finding.severity == "info"


@pytest.mark.parametrize(
    "other",
    [{"common_share": 0.1}, {"origin": None}, {"distinct": 3}, {"commonest": None}],
    ids=["usual", "no cut", "signs", "no texts"],
)
def test_other_texts_pass(other: dict[str, Any]) -> None:
    assert cut_vocabulary(run_of(FILE, *batches(6, **{**TEXTS, **other}))) is None


def test_another_number_in_each_batch_passes() -> None:
    several = [b for i in range(6) for b in batches(1, **{**TEXTS, "commonest": i})]
    assert verdict_of("D25", run_of(FILE, *several)).status == "pass"


def test_few_texts_are_inconclusive_and_numbers_skipped() -> None:
    assert verdict_of("D25", run_of(FILE, *batches(2, **TEXTS))).status == "inconclusive"
    assert verdict_of("D25", run_of(*batches(6))).status == "skipped"


def test_the_commonest_token_between_the_ends() -> None:
    ids = torch.tensor(
        [[5, 1, 6, 1, 7, 9, 9, 9], [5, 1, 1, 1, 7, 8, 9, 9], [1, 2, 1, 4, 1, 1, 3, 6], [2, 1, 3, 1, 1, 4, 8, 7]]
    )
    facts = token_facts(ids)
    assert facts["commonest"] == 1
    # Without padding and without runs of 1 at the ends: 5, 6, 7 and 8 places.
    assert facts["common_share"] == pytest.approx((2 + 3 + 3 + 3) / (5 + 6 + 7 + 8))
    blank = torch.zeros(6, 10, dtype=torch.int64)
    assert "commonest" not in token_facts(blank)
    padded = torch.zeros(6, 10, dtype=torch.int64)
    padded[:, :5] = torch.arange(1, 31).reshape(6, 5)
    assert token_facts(padded)["common_share"] <= 0.1, "padding is no unknown word"
    assert token_facts(padded.flip(1))["common_share"] <= 0.1


STOP = Location("work/train.py", 5, "", 'STOP = {"a", "the", "not"}')


@pytest.mark.parametrize(("status", "told"), [("confirmed", True), ("refuted", False), ("inconclusive", False)])
def test_negations_that_are_left_out_are_told_by_a_trial_alone(status: str, told: bool) -> None:
    tried = Experiment("D25", "source:negations:train.py:5", status=status, metric="answers", before=0.4, after=0.1)
    found = verdict_of("D25", run_of(*batches(6, origin=STOP), DataFile(0, STOP.file, negations=STOP), tried)).findings
    assert [(f.location, f.patch, f.severity) for f in found] == [(STOP, tried.patch, None)] * told
