"""D26 next-state-is-the-state."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.records import Location
from flightcheck.recording.stored_states import StoredTransitions
from flightcheck.testing import run_of, verdict_of

RESET, STEP = Location("env.py", 32), Location("env.py", 47)
FOUND = StoredTransitions(0, 1, calls=8, rows=500, equal=498, acting=40, still=4, returned=[STEP, RESET])


def test_one_array_in_all_transitions_fails_where_it_is_handed_out() -> None:
    (finding,) = verdict_of("D26", run_of(FOUND)).findings
    assert finding.location == STEP
    assert finding.patch == "source:handed-out:env.py:47 + source:handed-out:env.py:32"
    assert "Lines 47 and 32 return" in finding.message


def test_transitions_that_lead_somewhere_pass() -> None:
    assert verdict_of("D26", run_of(replace(FOUND, equal=300))).status == "pass"


def test_where_actions_change_nothing_it_passes() -> None:
    assert verdict_of("D26", run_of(replace(FOUND, still=36))).status == "pass"


def test_unknown_agents_few_rows_and_environments_that_copy_are_inconclusive() -> None:
    for unsure in (replace(FOUND, acting=3, still=0), replace(FOUND, rows=20, equal=20), replace(FOUND, returned=[])):
        assert verdict_of("D26", run_of(unsure)).status == "inconclusive"


def test_without_such_a_target_it_is_skipped() -> None:
    assert verdict_of("D26", run_of()).status == "skipped"


def test_a_memory_of_one_array_needs_no_agent_that_acts_by_a_model() -> None:
    """While actions are drawn at random, each batch is one state, which is another one in the next."""
    drawn = replace(FOUND, acting=3, still=0, single=8, moved=7)
    (finding,) = verdict_of("D26", run_of(drawn)).findings
    assert "all transitions of a batch hold one state" in finding.message
    assert verdict_of("D26", run_of(replace(drawn, moved=0))).status == "inconclusive"
