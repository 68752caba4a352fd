"""What a script will print, by its text."""

from __future__ import annotations

import pytest

from flightcheck.recording.printed import numbers_in
from flightcheck.recording.written_output import written_lines


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("print(f'step {step} sliced distance {self.score():.4f}')", ["step", "sliced distance"]),
        ("print('epoch', e, 'fid', fid(a, b))", ["epoch", "fid"]),
        ("print('mmd: %.3f' % value)", ["mmd"]),
        ("logger.info('kid {:.3f}'.format(value))", ["kid"]),
        ("print(table['fid'])", []),
        ("name = 'fid 0.3'", []),
    ],
)
def test_names_of_numbers(code: str, names: list[str]) -> None:
    assert [name for line in written_lines(code) for name, _ in numbers_in(line)] == names


def test_what_is_no_python_writes_nothing() -> None:
    assert written_lines("print(") == []
