"""D27 edges-not-shifted."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.joined_graphs import JoinedGraphs
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 34)
FOUND = JoinedGraphs(
    0, LINE, True, batches=8, within=8, graphs=256, nodes=2816, edges=5976, recurring=5100, largest=11, reach=11
)


def test_edges_on_the_first_graph_alone_fail_where_they_are_joined() -> None:
    (finding,) = verdict_of("D27", run_of(FOUND)).findings
    assert finding.location == LINE
    assert finding.patch == "edges:train.py:34"
    assert "352 nodes in 32 graphs" in finding.message


def test_edges_that_were_joined_unseen_have_no_trial() -> None:
    (finding,) = verdict_of("D27", run_of(replace(FOUND, joined=False))).findings
    assert finding.patch == ""


def test_shifted_edges_and_those_of_one_graph_pass() -> None:
    assert verdict_of("D27", run_of(replace(FOUND, within=0, reach=352))).status == "pass"
    assert verdict_of("D27", run_of(replace(FOUND, within=7))).status == "pass"
    assert verdict_of("D27", run_of(replace(FOUND, recurring=0))).status == "pass"


def test_few_batches_are_inconclusive() -> None:
    assert verdict_of("D27", run_of(replace(FOUND, batches=2, within=2))).status == "inconclusive"


def test_without_graphs_it_is_skipped() -> None:
    assert verdict_of("D27", run_of()).status == "skipped"
