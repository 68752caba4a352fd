"""P28 ranks-diverge: what the first rank says of the others' parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flightcheck.recording.ranks import ReplicaDigests, launch_of, other_ranks
from flightcheck.recording.records import Location, RunInfo
from flightcheck.recording.store import RunWriter
from flightcheck.testing import run_of, verdict_of

LINE, CALL = Location("train.py", 20), Location("train.py", 31)
STEPS = [0, 1, 2, 4]


def digests(rank: int, head: list[str], body: str = "a", mean: float = 0.5) -> ReplicaDigests:
    return ReplicaDigests(
        rank, "ddp", ["body", "head"], STEPS, [[body, h] for h in head], [[0.5, mean]] * 4, [[1.0, 1.0]] * 4,
        location=LINE,
    )  # fmt: skip


OWN = digests(0, ["b", "c", "d", "e"])
SAME = digests(1, ["b", "c", "d", "e"])
APART = digests(1, ["b", "x", "y", "z"], mean=0.6)


def test_parameters_that_leave_those_of_the_first_rank_fail() -> None:
    (finding,) = verdict_of("P28", run_of(OWN, APART, ranks=2)).findings
    assert (finding.onset_step, finding.location, finding.severity) == (1, LINE, None)
    assert finding.evidence["first"] == "head"
    (finding,) = verdict_of("P28", run_of(OWN, SAME, replace(APART, rank=2), ranks=3)).findings
    assert finding.evidence["ranks"] == [2]


def test_the_cause_is_named_where_it_was_seen() -> None:
    (finding,) = verdict_of("P28", run_of(replace(OWN, bypass=CALL), APART, ranks=2)).findings
    assert finding.location == CALL
    (finding,) = verdict_of("P28", run_of(replace(OWN, late=[1], late_location=CALL), APART, ranks=2)).findings
    assert finding.location == CALL


def test_differences_of_less_weight_are_warnings() -> None:
    for own, other in ((OWN, replace(APART, means=[[0.5, 0.5]] * 4)), (replace(OWN, unsynchronized=3), APART)):
        (finding,) = verdict_of("P28", run_of(own, other, ranks=2)).findings
        assert finding.severity == "warn"


def test_equal_parameters_pass() -> None:
    assert verdict_of("P28", run_of(OWN, SAME, ranks=2)).status == "pass"
    again = digests(1, ["b", "x", "y", "e"])  # averaged from time to time
    assert verdict_of("P28", run_of(OWN, again, ranks=2)).status == "pass"
    not_finite = digests(1, ["b", "", "", ""])
    assert verdict_of("P28", run_of(OWN, not_finite, ranks=2)).status == "pass"
    once = digests(1, ["b", "c", "d", "z"])
    assert verdict_of("P28", run_of(OWN, once, ranks=2)).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P28", run_of(OWN, ranks=2)).status == "inconclusive"
    assert verdict_of("P28", run_of(OWN, replace(APART, names=["other"]), ranks=2)).status == "inconclusive"
    assert verdict_of("P28", run_of(OWN, replace(APART, steps=[9, 10, 11, 12]), ranks=2)).status == "inconclusive"
    assert verdict_of("P28", run_of(APART, ranks=2)).status == "skipped"
    assert verdict_of("P28", run_of(replace(OWN, averaged=True), APART, ranks=2)).status == "skipped"
    assert verdict_of("P28", run_of(OWN, APART, ranks=1)).status == "skipped"


def info(rank: int, started: str = "12:00:00", **changes: object) -> RunInfo:
    base = RunInfo("x", "train.py", "train.py", f"2026-01-01T{started}+00:00", rank=rank, ranks=2, ended="finished",
                   seconds=30.0, launch="here", launcher="a:1")  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def recorded(folder: Path, name: str, record: RunInfo, digest: ReplicaDigests | None = None) -> Path:
    writer = RunWriter(folder / f"20260101-{name}")
    writer.put(record)
    if digest is not None:
        writer.put(digest, digest.rank)
    writer.close()
    return folder / f"20260101-{name}"


def test_the_runs_of_the_other_ranks_are_found_beside_the_first(tmp_path: Path) -> None:
    own = recorded(tmp_path, "120000-a", info(0), OWN)
    assert other_ranks(own, info(0), STEPS, patience=0.0) == []
    recorded(tmp_path, "115930-b", info(1, "11:59:25"), digests(1, ["old"] * 4))  # over before
    recorded(tmp_path, "120000-c", info(1, launch="there"), digests(1, ["other"] * 4))
    recorded(tmp_path, "120000-d", info(1, script="other.py"), digests(1, ["other"] * 4))
    recorded(tmp_path, "130000-e", info(1, "13:00:00"), digests(1, ["later"] * 4))
    (tmp_path / "notes").mkdir()
    assert other_ranks(own, info(0), STEPS, patience=0.0) == []
    recorded(tmp_path, "120001-f", info(1, "12:00:01"), APART)
    recorded(tmp_path, "120003-g", info(1, "12:00:03"), SAME)
    assert other_ranks(own, info(0), STEPS) == [APART]


def test_what_ranks_have_in_common() -> None:
    assert launch_of({}) == launch_of({"WORLD_SIZE": "1"}) == ("", "")
    one = launch_of({"WORLD_SIZE": "2", "MASTER_PORT": "29500", "RANK": "0"})
    assert one == launch_of({"WORLD_SIZE": "2", "MASTER_PORT": "29500", "RANK": "1"})
    assert one != launch_of({"WORLD_SIZE": "2", "MASTER_PORT": "29501", "RANK": "1"})
