"""C38 result-not-used."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.patch import Patch
from flightcheck.recording.records import Location, RootInfo
from flightcheck.recording.wiring import UnusedResult
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import network

LINE = Location("train.py", 31, "forward", "F.relu(x)")
THROWN = UnusedResult(0, LINE, "statement", "F.relu", "x", "Net")
RECORDS = [r for r in network(3) if not isinstance(r, RootInfo)]
TRAINED = RootInfo(0, "net", "Net", train_calls=20)


def test_a_result_that_is_thrown_away_fails_with_the_statement_that_keeps_it() -> None:
    (finding,) = verdict_of("C38", run_of(*RECORDS, TRAINED, THROWN)).findings
    assert (finding.location, finding.fix) == (LINE, "x = F.relu(x)")
    assert finding.patch == "source:assigned:train.py:31"


def test_a_mask_that_is_thrown_away_is_tried_as_one_that_hides_the_future() -> None:
    mask = replace(THROWN, called="scores.masked_fill", name="scores")
    again = replace(mask, index=1, location=replace(LINE, line=40))
    (finding,) = verdict_of("C38", run_of(*RECORDS, TRAINED, mask, again)).findings
    assert finding.patch == "source:masked:train.py:31 + source:masked:train.py:40"
    assert finding.message.endswith("So in line 40.")
    assert Patch.parse("source:masked:train.py:31").scored == Patch("score", "prefix")


def test_an_output_that_is_overwritten_fails_at_its_layer() -> None:
    lost = UnusedResult(0, LINE, "overwritten", "self.conv1", "h", "Net", 2)
    (finding,) = verdict_of("C38", run_of(*RECORDS, TRAINED, lost)).findings
    assert (finding.module, finding.parameters) == ("net.2", (1,))


def test_an_input_that_is_kept_and_not_added_warns_by_its_name_only() -> None:
    kept = UnusedResult(0, LINE, "variable", "", "identity", "Block")
    (finding,) = verdict_of("C38", run_of(*RECORDS, TRAINED, kept)).findings
    assert (finding.severity, finding.patch) == ("warn", "residual:Block")
    assert verdict_of("C38", run_of(*RECORDS, TRAINED, replace(kept, name="batch"))).status == "pass"


def test_no_model_is_inconclusive_and_an_untrained_one_skipped() -> None:
    assert verdict_of("C38", run_of()).status == "inconclusive"
    assert verdict_of("C38", run_of(*RECORDS, replace(TRAINED, train_calls=0))).status == "skipped"
