"""Statements that are moved into a loop, or out of one."""

from __future__ import annotations

import pytest

from flightcheck.recording.indenting import reindented, shown
from flightcheck.recording.rewriting import rewritten

BEHIND = """\
def epoch(loader):
    for x, y in loader:
        loss = criterion(net(x), y)
        seen.append(loss.item())
    opt.zero_grad()

    loss.backward(
        retain_graph=False
    )
    clip(net.parameters())
    opt.step()
    sched.step()
    return sum(seen)
"""

LEFT = """\
def epoch(loader):
    for x, y in loader:
        step(x, y)
        if x is None:
            continue
        return (total /
                len(loader))
for e in range(3):
    epoch(loader)
    break
"""


def test_backward_and_step_become_the_end_of_the_loop() -> None:
    new = reindented(BEHIND, "into", 7).splitlines()
    assert new[:4] == BEHIND.splitlines()[:4]
    assert new[4:11] == [
        "        opt.zero_grad()",
        "",
        "        loss.backward(",
        "            retain_graph=False",
        "        )",
        "        clip(net.parameters())",
        "        opt.step()",
    ]
    assert new[11:] == BEHIND.splitlines()[11:], "the schedule steps once in a pass"
    compile("\n".join(new), "train.py", "exec")
    assert rewritten(BEHIND, "into", 8).splitlines() == new


def test_a_return_stands_behind_the_loop_and_a_break_is_none() -> None:
    assert reindented(LEFT, "out", 7).splitlines()[5:7] == ["    return (total /", "            len(loader))"]
    new = reindented(LEFT, "out", 10)
    assert new.splitlines()[9] == "    pass"
    assert new.splitlines()[:9] == LEFT.splitlines()[:9]


def test_what_a_reader_sees() -> None:
    source = "for x in data:\n    loss = f(x)\nloss.backward()\nopt.step()\n"
    assert shown(source, "into", 3) == "- loss.backward()\n- opt.step()\n+     loss.backward()\n+     opt.step()"
    assert shown(LEFT, "out", 10) == "- break"
    assert shown(source, "into", 1) == ""


@pytest.mark.parametrize(
    ("source", "rule", "line"),
    [
        ("loss.backward()\nopt.step()\n", "into", 1),  # no loop
        ("for x in d:\n    f(x)\nloss.backward()\n", "into", 3),  # no step
        ("for x in d: f(x)\nloss.backward()\nopt.step()\n", "into", 2),
        ("for x in d:\n    f(x)\nelse:\n    g()\nloss.backward()\nopt.step()\n", "into", 5),
        ("for x in d:\n    f(x)\ntotal /= 3\nloss.backward()\nopt.step()\n", "into", 4),  # would be divided each time
        ("for x in d:\n    f(x)\nif a:\n    b()\nloss.backward()\nopt.step()\n", "into", 5),
        ("for x in d:\n    f(x)\ns = '''a\nb'''\nloss.backward()\nopt.step()\n", "into", 5),
        ("for x in d:\n    return\n    f(x)\n", "out", 2),
        ("def f():\n    return 1\n", "out", 2),
        ("for x in d:\n    if x:\n        break\n", "out", 3),
        ("for x in d:\n    a(); break\n", "out", 2),
        ("def (", "into", 1),
    ],
)
def test_what_does_not_fit_stays(source: str, rule: str, line: int) -> None:
    assert reindented(source, rule, line) == source
