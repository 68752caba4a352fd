"""Statements written anew by a rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from flightcheck.adapters.torch.patching.sources import Helper
from flightcheck.recording.rewriting import HELPER, rewritten, statement_at

SOURCE = """\
def prepare(x, y, rng):
    x = shuffle(x,
                random_state=rng)
    y = shuffle(y, random_state=rng); n = 1
    z = torch.tensor(x[order] / 16)
    rng.shuffle(z)
    w = scaler.fit_transform(z)
    v = StandardScaler().fit_transform(z)
    for start in range(0, len(x), 8):
        a = x[start : start + 8]
        b, c = y[start:start + 8].long(), z[1:2]
        yield a, b
"""


@pytest.mark.parametrize(
    ("rule", "line", "made"),
    [
        ("order", 3, "__flightcheck__.order(rng, shuffle, x); x = shuffle(x, random_state=rng)"),
        ("same-order", 4, "__flightcheck__.same_order(rng, shuffle, y); y = shuffle(y, random_state=rng)"),
        ("unordered", 5, "z = torch.tensor(x / 16)"),
        ("unordered", 6, "pass"),
        ("transform", 7, "w = scaler.transform(z)"),
        ("transform", 8, ""),
        ("order", 7, ""),
        ("unordered", 7, ""),
        ("rows", 10, "a = __flightcheck__.rows(x, start, start + 8)"),
        ("rows", 12, ""),
        ("rows", 99, ""),
    ],
)
def test_each_rule(rule: str, line: int, made: str) -> None:
    assert statement_at(SOURCE, rule, line) == made
    new = rewritten(SOURCE, rule, line)
    assert len(new.splitlines()) == len(SOURCE.splitlines())
    assert (new == SOURCE) == (not made)
    if made:
        compile(new, "train.py", "exec")
        assert made in new


PLACES = """\
def words_of(rows):
    return {w: i for i, w in enumerate(rows)}
words = words_of(train)
ids = encode(test, words_of(test))
others = words_of(test)
later = series[rows + n - 1]
both = (series[i : i + n], series[i + n - 1])
turned = np.fliplr(x) if coin() < 0.5 else x
image = image.flip(-1)
image = TF.hflip(image)
image = image[:, ::-1].copy()
steps = Compose([RandomHorizontalFlip(), ToTensor()])
"""


@pytest.mark.parametrize(
    ("rule", "line", "made"),
    [
        ("known", 4, "ids = encode(test, words)"),
        ("known", 5, "others = words"),
        ("known", 3, ""),
        ("later", 6, "later = __flightcheck__.later(series, rows + n - 1)"),
        ("later", 7, "both = (series[i:i + n], __flightcheck__.later(series, i + n - 1))"),
        ("later", 4, ""),
        ("unturned", 8, "turned = x if coin() < 0.5 else x"),
        ("unturned", 9, "image = image"),
        ("unturned", 10, "image = image"),
        ("unturned", 11, "image = image[:, :].copy()"),
        ("unturned", 12, "steps = Compose([RandomHorizontalFlip(p=0.0), ToTensor()])"),
        ("unturned", 7, ""),
    ],
)
def test_rules_of_places_turns_and_what_is_known(rule: str, line: int, made: str) -> None:
    assert statement_at(PLACES, rule, line) == made


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("t = torch.tensor(log)", "t = __flightcheck__.double(log)"),
        ("t = torch.from_numpy(log).float()", "t = __flightcheck__.double(log).double()"),
        ("t = log.astype(np.float32)", "t = log.astype('float64')"),
        ("t = np.asarray(log, np.float32)", "t = __flightcheck__.double_array(log)"),
        ("t = x.to(torch.float32)", "t = __flightcheck__.double(x)"),
        ("t = x.to(device)", ""),
        ("t = times.diff()", ""),
    ],
)
def test_conversions_to_double_precision(code: str, made: str) -> None:
    assert statement_at(code, "double", 1) == made


def test_numbers_of_double_precision() -> None:
    assert Helper.double([1.7e9 + 1, 2.0]).tolist() == [1.7e9 + 1, 2.0]
    assert Helper.double(np.ones(2, np.float32)).dtype is Helper.double(torch.ones(2)).dtype is torch.float64
    assert Helper.double_array([1.5]).dtype == np.float64


def test_the_element_after_a_place_ends_with_the_series() -> None:
    series = torch.arange(5)
    assert Helper.later(series, torch.tensor([0, 3, 4])).tolist() == [1, 4, 4]
    assert Helper.later([7, 8], 0) == Helper.later([7, 8], 1) == 8


@pytest.mark.parametrize("line", [9, 10, 11])
def test_all_that_cuts_the_same_rows(line: int) -> None:
    new = rewritten(SOURCE, "rows", line).splitlines()
    assert new[9].strip() == "a = __flightcheck__.rows(x, start, start + 8)"
    assert new[10].strip() == "b, c = (__flightcheck__.rows(y, start, start + 8).long(), z[1:2])"


def test_what_is_no_python_stays() -> None:
    assert rewritten("def (", "order", 1) == "def ("
    assert statement_at("def (", "order", 1) == ""


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("pixels = (images // 16).float()", "pixels = (images / 16).float()"),
        ("scaled = np.zeros_like(counts)", "scaled = np.zeros_like(counts, dtype='float32')"),
        ("scaled = torch.empty_like(x)", "scaled = torch.empty_like(x, dtype=torch.float32)"),
        ("X = (X / 255).astype(np.uint8)", "X = (X / 255).astype('float32')"),
        ("self.x = (x / 255).to(torch.int32)", "self.x = (x / 255).to(torch.float32)"),
        ("x = torch.tensor(d / 16, dtype=torch.long)", "x = torch.tensor(d / 16, dtype=torch.float32)"),
        ("x = np.zeros(n, dtype=int)", "x = np.zeros(n, dtype='float32')"),
        ("y = torch.as_tensor(y).long()", "y = torch.as_tensor(y)"),
        ("x = x[: len(x) // 2].float()", ""),
        ("half = x[idx.long()] / 2", ""),
        ("x = (x / 255).astype(np.float32)", ""),
        ("x = np.zeros_like(x, dtype=np.float64)", ""),
    ],
)
def test_fractions_are_kept(code: str, made: str) -> None:
    assert statement_at(code, "fractions", 1) == made


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("self.best = copy.copy(model.state_dict())", "self.best = H.deepcopy(model.state_dict())"),
        ("best = dict(net.state_dict())", "best = H.deepcopy(net.state_dict())"),
        ("best = net.state_dict().copy()", "best = H.deepcopy(net.state_dict())"),
        ("best, at = net.state_dict(), epoch", "best, at = (H.deepcopy(net.state_dict()), epoch)"),
        ("best = model", ""),
    ],
)
def test_a_state_is_copied(before: str, after: str) -> None:
    assert statement_at(before, "copied", 1).replace(HELPER, "H") == after


def test_the_other_order_of_an_if() -> None:
    source = "if score < best and epoch != 3:\n    best = score\n"
    assert rewritten(source, "turned", 1) == source.replace("score < best", f"{HELPER}.turned(score, best, '>')")
    for other in ("if a < b < c:\n    pass\n", "if a < b or c > d:\n    pass\n", "x = a < b\n"):
        assert rewritten(other, "turned", 1) == other


def test_what_begins_at_infinity_is_better_in_any_order() -> None:
    assert Helper.turned(0.5, math.inf, ">") is True
    assert Helper.turned(0.5, 0.4, ">") is True and Helper.turned(0.3, 0.4, ">") is False


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("a, b = x[k : k + n], y[k : k + n]", "a, b = (x[k * n:k * n + n], y[k * n:k * n + n])"),
        ("return self.x[s : s + self.bs]", "return self.x[s * self.bs:s * self.bs + self.bs]"),
        ("a = x[k + 1 : k + 1 + n]", "a = x[(k + 1) * n:(k + 1) * n + n]"),
        ("a = x[k : m]", ""),
        ("a = x[k * n : (k + 1) * n]", ""),
        ("a = x[0:n]", ""),
    ],
)
def test_batches_that_begin_at_their_number(code: str, made: str) -> None:
    source = f"def cut(x, y, k, n):\n    {code}\n"
    assert statement_at(source, "apart", 2) == made


@pytest.mark.parametrize(
    ("code", "made"),
    [
        (
            "t = torch.tensor(jd, dtype=torch.float32)",
            "t = torch.tensor(__flightcheck__.from_zero(jd), dtype=torch.float32)",
        ),
        (
            "t = torch.from_numpy(jd.astype('float32'))",
            "t = torch.from_numpy(__flightcheck__.from_zero(jd).astype('float32'))",
        ),
        ("jd = 2.4e6 + night", "jd = __flightcheck__.from_zero(2400000.0 + night)"),
        ("show(jd)", ""),
    ],
)
def test_large_numbers_are_counted_from_the_smallest(code: str, made: str) -> None:
    assert statement_at(code, "from-zero", 1) == made


def test_only_double_precision_is_counted_from_the_smallest() -> None:
    helper = Helper()
    assert helper.from_zero(np.array([[5.0, 9.0], [7.0, 8.0]])).tolist() == [[0.0, 1.0], [2.0, 0.0]]
    assert helper.from_zero([5.5, 7.0]).tolist() == [0.0, 1.5]
    assert helper.from_zero(torch.tensor([5.0, 7.0], dtype=torch.float64)).tolist() == [0.0, 2.0]
    for kept in (np.array([5.0], dtype="float32"), torch.tensor([5.0]), np.array([5]), 7.5, np.zeros(0)):
        assert helper.from_zero(kept) is kept


def test_what_is_returned_is_copied_and_nothing_else() -> None:
    code = "def step(self):\n    return self.state, -1.0, self.age >= 9\n"
    made = "return (__flightcheck__.apart(self.state), -1.0, self.age >= 9)"
    assert statement_at(code, "handed-out", 2) == made
    assert statement_at("x = self.state\n", "handed-out", 1) == ""
    held, helper = np.zeros(2), Helper()
    assert helper.apart(held) is not held and helper.apart(held).tolist() == [0.0, 0.0]
    assert helper.apart(helper) is helper


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("order = sorted(range(n), key=lambda i: len(x[i]))", "order = list(range(n))"),
        ("order = np.argsort(lengths)", "order = list(range(len(lengths)))"),
        ("order = lengths.argsort(descending=True)", "order = list(range(len(lengths)))"),
        ("rows.sort(key=len)", "pass"),
        ("values, order = lengths.sort()", ""),
        ("a, b = sorted(x), sorted(y)", ""),
    ],
)
def test_what_is_sorted_keeps_its_order(code: str, made: str) -> None:
    assert statement_at(f"{code}\n", "unsorted", 1) == made


@pytest.mark.parametrize(
    ("loop", "made"),
    [
        ("for epoch in range(EPOCHS):", "for epoch in range(8 * EPOCHS):"),
        ("for e in tqdm(range(1, n + 1)):", "for e in tqdm(range(1, 1 + 8 * ((n + 1) - 1))):"),
        ("for i in range(0, len(x), 32):", ""),
        ("for x, y in loader:", ""),
        ("while True:", ""),
    ],
)
def test_a_loop_goes_round_more_often(loop: str, made: str) -> None:
    source = f"n = 3\n{loop}\n    step()\n"
    assert rewritten(source, "longer@8", 2) == (f"n = 3\n{made}\n    step()\n" if made else source)
    assert rewritten(source, "longer@8", 3) == source
