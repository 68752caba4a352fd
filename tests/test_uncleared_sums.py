"""Sums that go on over the rounds of an outer loop: what is read from a source, and what a trial makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.checks.tracking._uncleared_sums import sums_of_all_passes
from flightcheck.recording.provenance.uncleared_sums import uncleared_sums
from flightcheck.recording.records import Location, OptimizerInfo
from flightcheck.recording.rewriting import rewritten
from flightcheck.recording.uncleared_sums import UnclearedSum
from flightcheck.testing import run_of, verdict_of

LOOPS = """
total, n = 0.0, 0
steps = 0
kept = []
for epoch in range(epochs):
    {begin}
    for i, (x, y) in enumerate(loader):
        total += {added}
        n += len(x)
        steps += 1
    {use}
print(np.mean(kept))
"""


def found(
    folder: Path, use: str, begin: str = "batches = 0", added: str = "loss(x, y).item()"
) -> list[tuple[str, int]]:
    file = folder / "train.py"
    file.write_text(LOOPS.format(use=use, begin=begin, added=added), encoding="utf-8")
    return [(s.name, s.cleared) for s in uncleared_sums(str(file))]


@pytest.mark.parametrize(
    "use",
    [
        "print(total / len(loader))",
        "mean = 100 * total / len(loader.dataset)",
        "print(total.item() / (i + 1))",
        "size = len(data)\n    print(total / size)",
        "kept.append(total)",
    ],
)
def test_a_sum_of_all_passes_that_is_used_as_that_of_one(tmp_path: Path, use: str) -> None:
    assert found(tmp_path, use) == [("total", 2)]


@pytest.mark.parametrize(
    "use",
    [
        "print(total / n)",  # of all passes, both
        "print(total / steps)",
        "print(total / (epoch + 1))",
        "print(total / (len(loader) * (epoch + 1)))",
        "print(total / (time.time() - start))",
        "print(total / budget)",
        "print(total / len(kept)); kept.append(1)",
        "print(total)",
        "kept.append(total / n)",
    ],
)
def test_a_sum_that_is_divided_by_what_grows_with_it(tmp_path: Path, use: str) -> None:
    assert found(tmp_path, use) == []


def test_a_sum_that_is_cleared_or_is_one_of_sizes(tmp_path: Path) -> None:
    use = "print(total / len(loader))"
    assert found(tmp_path, use, begin="total = 0") == []
    assert found(tmp_path, use + "\n    total = 0.0") == []
    assert found(tmp_path, use, added="len(x)") == []
    assert found(tmp_path, use, added="1") == []
    assert found(tmp_path, "kept.append(total)", added="1") == [("total", 2)]  # lengths of episodes


def test_a_sum_in_one_loop_and_odd_sources(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("total = 0\nfor x in data:\n    total += f(x)\n    print(total / len(data))\n", encoding="utf-8")
    assert uncleared_sums(str(file)) == []
    file.write_text("for (", encoding="utf-8")
    assert uncleared_sums(str(file)) == []


def test_each_round_begins_with_0_in_a_trial() -> None:
    loops = (
        "t = 0\nseen = []\nfor a, b in zip('xy', 'zw'):\n    for _ in range(3):\n        t += 1\n    seen.append(t)\n"
    )
    told: dict[str, list[int]] = {}
    exec(rewritten(loops, "cleared@t", 3), told)
    assert told["seen"] == [3, 3]
    waiting = (
        "t = k = 0\nseen = []\nwhile k < 2:\n    k += 1\n    for _ in range(3):\n        t += 1\n    seen.append(t)\n"
    )
    exec(rewritten(waiting, "cleared@t", 3), told)
    assert told["seen"] == [3, 3]
    assert rewritten(waiting, "cleared@t", 5) != waiting and rewritten(waiting, "cleared@t", 1) == waiting


SUM = UnclearedSum(
    Location("train.py", 2, code="total = 0"), "total", *(Location("train.py", n) for n in (8, 5, 11)), averaged=True
)


def test_it_is_told_as_a_wrong_metric() -> None:
    sgd = OptimizerInfo(0, "SGD", steps=20)
    (finding,) = verdict_of("T09", run_of(SUM, sgd, steps=20)).findings
    assert (finding.location, finding.severity) == (SUM.location, "warn")
    assert finding.patch == "source:cleared@total:train.py:5"
    assert verdict_of("T09", run_of(sgd, steps=20)).status != "fail"


def test_a_count_of_right_answers_is_told_once() -> None:
    sgd = OptimizerInfo(0, "SGD", steps=20)
    assert list(sums_of_all_passes(run_of(SUM, sgd, steps=20), told={("train.py", 8)})) == []
