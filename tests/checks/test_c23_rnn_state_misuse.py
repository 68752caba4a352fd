"""C23 rnn-state-misuse: the last output of padded sequences, states without history."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location
from flightcheck.recording.sequences import CutState, FreshState, PaddedRead
from flightcheck.testing import run_of, verdict_of

READ = PaddedRead("packed", 0, Location("train.py", 12), 32, 31, 29, 15.5)


def test_padding_that_is_read_as_the_last_output_fails() -> None:
    (finding,) = verdict_of("C23", run_of(READ)).findings
    assert finding.location == READ.location
    assert finding.severity is None
    assert finding.patch == "last-step:lengths"


def test_one_sequence_of_a_batch_is_enough() -> None:
    assert verdict_of("C23", run_of(replace(READ, short=1))).status == "fail"


def test_sequences_of_one_length_pass() -> None:
    assert verdict_of("C23", run_of(replace(READ, short=0))).status == "pass"


def test_a_layer_that_went_through_the_padding_is_told_as_information() -> None:
    for kind in ("padded", "state"):
        (finding,) = verdict_of("C23", run_of(replace(READ, kind=kind))).findings
        assert finding.severity == "info"
        assert verdict_of("C23", run_of(replace(READ, kind=kind, short=10))).status == "pass"


def test_without_such_a_line_it_is_skipped() -> None:
    assert verdict_of("C23", run_of()).status == "skipped"


def test_a_state_that_is_cut_off_at_each_step_is_loud_once_a_trial_confirms() -> None:
    state = CutState("gru_cell", Location("train.py", 30), 0, rounds=8, calls=80, cut=72)
    (finding,) = verdict_of("C23", run_of(state)).findings
    assert finding.severity == "info"
    proof = Experiment("C23", finding.patch, "fix", "confirmed", metric="error", before=1.0, after=0.2)
    (finding,) = verdict_of("C23", run_of(state, proof)).findings
    assert finding.severity is None
    assert verdict_of("C23", run_of(replace(state, cut=20))).status == "pass"


def test_reading_through_the_padding_is_a_warning_once_a_trial_confirms() -> None:
    for kind in ("padded", "state"):
        read = replace(READ, kind=kind)
        (finding,) = verdict_of("C23", run_of(read)).findings
        proof = Experiment("C23", finding.patch, "fix", "confirmed", metric="error", before=1.0, after=0.2)
        assert [f.severity for f in verdict_of("C23", run_of(read, proof)).findings] == ["warn"]


def test_a_state_of_zeros_at_each_step_fails() -> None:
    fresh = FreshState("gru_cell", Location("train.py", 12), 0, rounds=8, calls=80, fresh=80, parameters=[3])
    (finding,) = verdict_of("C23", run_of(fresh)).findings
    assert (finding.severity, finding.patch, finding.parameters) == (None, "carry-state:train.py:12", (3,))
    assert verdict_of("C23", run_of(replace(fresh, fresh=79))).status == "skipped"
    assert verdict_of("C23", run_of(replace(fresh, rounds=2))).status == "skipped"
