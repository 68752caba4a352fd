"""Every check keeps the rules of the folder."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from flightcheck.checks.base import HEADINGS, SECTIONS, SEVERITIES, Check, CheckInfo
from flightcheck.checks.registry import all_checks
from flightcheck.patch import Patch
from flightcheck.recording import records
from flightcheck.recording.run import Run
from flightcheck.recording.signals import Signal

TESTS = Path(__file__).parents[1]
FOLDERS = {"S": "start", "L": "loss", "C": "connections", "P": "parameters", "T": "tracking", "D": "data"}
NO_TRAINING = {
    "P28": "it takes two processes: tests/test_ranks.py",
    "T04": "it looks at what lies around a script, not at its lines",
    "T06": "it compares two runs: tests/tracking/test_compare.py",
    "T08": "it compares runs: tests/tracking/test_compare.py",
    "T05": "it looks at what lies around a script, not at its lines",
}
"""Checks without a pair in tests/trainings, each with the reason."""
ADVICE = ("check-", "do-not-", "use-", "avoid-", "prefer-", "bad-", "detect-", "no-", "missing-")
CHECKS = list(all_checks().values())

each = pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.info.code)


def file_of(check: type[Check]) -> Path:
    return Path(inspect.getfile(check))


def test_there_are_checks() -> None:
    assert len(CHECKS) >= 35
    assert {c.info.code[0] for c in CHECKS} == set(FOLDERS) == set(SECTIONS)


@each
def test_code_name_class_and_file_agree(check: type[Check]) -> None:
    info = check.info
    assert re.fullmatch(r"[SLCPTD]\d\d", info.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", info.name)
    assert check.__name__ == "".join(word.capitalize() for word in info.name.split("-"))
    assert file_of(check).name == f"{info.code.lower()}_{info.name.replace('-', '_')}.py"
    assert file_of(check).parent.name == FOLDERS[info.code[0]]
    assert not info.name.startswith(ADVICE), "named after the fault, not after the advice"


def test_names_are_unique_and_a_file_holds_one_check() -> None:
    assert len({c.info.name for c in CHECKS}) == len({file_of(c) for c in CHECKS}) == len(CHECKS)
    files = {p for folder in FOLDERS.values() for p in (file_of(CHECKS[0]).parents[1] / folder).glob("[a-z]*.py")}
    assert files == {file_of(c) for c in CHECKS}


@each
def test_documentation(check: type[Check]) -> None:
    info = check.info
    assert re.findall(r"(?m)^## (.+)$", info.documentation) == list(HEADINGS)
    for text in re.split(r"(?m)^## .+$", info.documentation):
        assert len(text.strip()) > 8
    assert info.summary.endswith(".")
    assert len(info.summary) <= 110
    assert info.fix.endswith((".", ")."))
    assert info.severity in SEVERITIES
    assert info.evidence in ("X", "B", "T", "H")


@each
def test_thresholds_have_a_value_and_a_reason(check: type[Check]) -> None:
    for name, param in check.info.parameters.items():
        assert isinstance(param.value, int | float), name
        assert len(param.reason.split()) >= 4, f"{name}: {param.reason!r} is no reason"


@each
def test_needs_exist(check: type[Check]) -> None:
    assert check.info.needs
    known = set(vars(Run)) | set(records.RECORDS)
    for need in check.info.needs:
        assert isinstance(need, Signal) or need in known, f"{need!r} is neither a signal nor a part of a run"


@each
def test_it_names_no_framework(check: type[Check]) -> None:
    assert not re.search(r"(?m)^\s*(import|from) (torch|jax|keras|tensorflow)\b", file_of(check).read_text())


def test_file(info: CheckInfo) -> Path:
    return TESTS / "checks" / f"test_{info.code.lower()}_{info.name.replace('-', '_')}.py"


test_file.__test__ = False  # type: ignore[attr-defined]


@each
def test_it_is_tested_in_three_ways(check: type[Check]) -> None:
    file = test_file(check.info)
    assert file.is_file()
    text = file.read_text(encoding="utf-8")
    assert f'"{check.info.code}"' in text
    assert '"fail"' in text or ".findings" in text
    assert '"pass"' in text
    assert '"inconclusive"' in text or '"skipped"' in text, "without enough data, or where it does not apply"


@each
def test_it_has_a_training(check: type[Check]) -> None:
    folder = TESTS / "trainings" / check.info.code
    names = {p.name for p in folder.glob("*.py")}
    if check.info.code in NO_TRAINING:
        assert not names, "strike it from NO_TRAINING"
    else:
        assert names >= {"faulty.py", "repaired.py"}


def test_no_training_without_a_check() -> None:
    codes = {p.name for p in (TESTS / "trainings").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert codes <= set(all_checks())
    assert set(NO_TRAINING) <= set(all_checks())


@each
def test_its_patch_is_one_that_the_lab_can_try(check: type[Check]) -> None:
    for alternative in check.info.patch.split("|"):
        for text in filter(None, map(str.strip, alternative.split("+"))):
            assert str(Patch.parse(text)) == text
