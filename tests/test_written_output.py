"""What a script will print, by its text."""

from __future__ import annotations

import pytest

from flightcheck.recording.printed import numbers_in
from flightcheck.recording.written_output import words_at, written_lines


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


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "print(f'epoch {e:3d} train {accuracy(p[tr], y[tr]):.3f} test {accuracy(p, y):.3f}')",
            ["accuracy", "accuracy"],
        ),
        ("print('val', round(val_acc, 3), 'seconds', time() - start)", ["acc"]),
        ("print('epoch %d held out %.3f' % (e, correct / n))", ["correct"]),
        ("logger.info('val {:.4f} of {}'.format(rmse(a, b), n))", ["rmse"]),
        ("print(f'val {1 - acc:.3f} test {-loss.item():.3f} dev {loss_of(accuracy):.2f}')", []),
        ("print(f'val {metric(model):.3f} test {f(x):.3f} new {score:.2f}')", []),
        ("print('val 0.5')", []),
        ("print(f'test\\n {np.mean(errors[-1]):.3f}')", ["errors"]),
    ],
)
def test_words_of_what_is_printed(code: str, words: list[str]) -> None:
    assert list(words_at(f"\n{code}\n", 2).values()) == words
    assert words_at(f"\n{code}\n", 1) == {}
