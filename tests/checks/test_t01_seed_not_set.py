"""T01 seed-not-set."""

from __future__ import annotations

from flightcheck.recording.records import Location, Seeding
from flightcheck.testing import run_of, verdict_of

MODEL = Location("train.py", 20)
SEED = Location("train.py", 30)


def test_unseeded_torch_is_noted_at_the_model() -> None:
    verdict = verdict_of("T01", run_of(Seeding(["numpy"], ["numpy", "torch"], first_model_location=MODEL)))
    (finding,) = verdict.findings
    assert finding.location == MODEL
    assert "torch.manual_seed(0)" in finding.fix
    assert verdict.info.severity == "info"


def test_seed_after_the_model_is_noted_at_the_seed() -> None:
    seeding = Seeding(["torch"], ["torch"], True, SEED, MODEL)
    (finding,) = verdict_of("T01", run_of(seeding)).findings
    assert finding.location == SEED


def test_seeded_passes() -> None:
    assert verdict_of("T01", run_of(Seeding(["torch"], ["torch"], False, SEED, MODEL))).status == "pass"


def test_draws_of_imports_are_not_judged() -> None:
    assert verdict_of("T01", run_of(Seeding(["torch"], ["python", "torch"], False, SEED, MODEL))).status == "pass"


def test_unused_generators_are_skipped() -> None:
    assert verdict_of("T01", run_of(Seeding())).status == "skipped"


def test_unwatched_is_inconclusive() -> None:
    assert verdict_of("T01", run_of()).status == "inconclusive"
