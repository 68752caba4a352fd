"""The scripts on which other tools were measured: 13 faulty ones and 4 healthy ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peer_suite.expected import EXPECTED, HEALTHY, SUITE
from tests.harmless.processes import Server
from tests.test_trainings import check
from tests.thorough import chosen

CONFIRMED = ["f01_double_softmax", "f07_unnormalised", "f12_detached_encoder"]
"""Scripts whose fix is tried, and works."""
ONLY_TRIED = "f08_shuffled_labels"
"""Nothing in one run of it is impossible in a healthy one."""
TRIED = chosen([*CONFIRMED, ONLY_TRIED], CONFIRMED[-1:])
"""Checked with experiments, which take most of the time."""
NAMES = [name for name in EXPECTED if name in TRIED or name != ONLY_TRIED]

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(not SUITE.is_dir(), reason="the peer suite does not lie beside the repository"),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_cause_and_its_line_come_first(server: Server, name: str, tmp_path: Path) -> None:
    codes, text = EXPECTED[name]
    data = check(server, SUITE / f"{name}.py", tmp_path, 150 if name in TRIED else 0)
    first = next(f for f in data["findings"] if f["root"])
    assert first["code"] in codes
    if name in CONFIRMED and name in TRIED:
        assert first["fix"]["trial"] == "confirmed", first["fix"]
    line = (SUITE / f"{name}.py").read_text().splitlines()[first["location"]["line"] - 1]
    assert text in line


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_scripts_hear_nothing(server: Server, name: str, tmp_path: Path) -> None:
    data = check(server, SUITE / f"{name}.py", tmp_path)
    assert [f for f in data["findings"] if f["severity"] != "info"] == []
