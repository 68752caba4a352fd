"""Which lines hand out an array that is changed in place later."""

from __future__ import annotations

from pathlib import Path

import pytest

from flightcheck.recording.provenance.returned_states import returned_in_place


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("class E:\n def step(self, a):\n  self.s[0] += a\n  return self.s, 1.0", [4]),
        ("class E:\n def look(self):\n  return self.s\n def step(self, a):\n  self.s[:2] = a\n  return self.s, a", [6, 3]),
        ("class E:\n def look(self):\n  return self.s\n def step(self, a):\n  np.clip(self.s, 0, 1, out=self.s)", [3]),
        ("class E:\n def look(self):\n  return torch.from_numpy(self.s)[1:]\n def step(self, a):\n  self.s.add_(a)", [3]),
        ("class E:\n def reset(self):\n  self.s = np.zeros(3)\n def step(self, a):\n  self.s += a\n  return self.s", [6]),
        ("class E:\n def reset(self):\n  self.n = 0\n def step(self, a):\n  self.n += a\n  return self.n", []),
        ("class E:\n def step(self, a):\n  self.s[0] += a\n  return self.s.copy(), 1.0", []),
        ("class E:\n def step(self, a):\n  self.s = self.s + a\n  return self.s, 1.0", []),
        ("class M:\n def add(self, i, x):\n  self.s[i] = x\n def pick(self, i):\n  return self.s[i]", []),
        ("class M:\n def add(self, x):\n  self.s[0] = x\n  return self.s\n"
         "class E:\n def step(self, a):\n  self.s[0] += a\n  return self.s, 1.0", [8]),
        ("def move(s, a):\n s[0] += a\n return s, 1.0", [3]),
        ("def move(s, a):\n s = s.copy()\n s[0] += a\n return s, 1.0", []),
        ("def broken(:", []),
    ],
)  # fmt: skip
def test_which_lines_are_told(tmp_path: Path, code: str, lines: list[int]) -> None:
    file = tmp_path / "env.py"
    file.write_text(code)
    assert returned_in_place(str(file)) == lines
