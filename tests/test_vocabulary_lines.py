"""Where words got their numbers, from the line that uses these."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from flightcheck.recording.provenance.vocabulary_lines import vocabulary_line

TOKENIZER = """
class Tokenizer:
    def fit(self, texts):
        for word in words_of(texts):
            if word not in self.ids:
                self.ids[word] = len(self.ids) + 2

    def transform(self, texts):
        return [[self.ids.get(w, 1) for w in t.split()] for t in texts]

    def fit_transform(self, texts):
        self.fit(texts)
        return self.transform(texts)


class Texts(Dataset):
    def __init__(self, rows, length=14):
        self.x = torch.zeros(len(rows), length)
        for i, row in enumerate(rows):
            self.x[i, length - len(row):] = torch.tensor(row)


tokenizer = Tokenizer()
train_ids = tokenizer.fit_transform(train)
tokenizer = Tokenizer()
test_ids = tokenizer.fit_transform(test)
train_loader = DataLoader(Texts(train_ids))
test_loader = DataLoader(Texts(test_ids[:100]))
"""
INSIDE = """
def build(texts):
    counts = Counter(w for t in texts for w in t.split())
    return {w: i + 2 for i, (w, _) in enumerate(counts.most_common(200))}


class Texts(Dataset):
    def __init__(self, texts):
        self.vocabulary = build(texts)
        self.ids = [self.encode(t) for t in texts]


test = Texts(read("test"))
"""
FUNCTIONS = """
def number(texts, known):
    for t in texts:
        known.setdefault(t, len(known))


def encode(texts, known):
    return [known[t] for t in texts]


known = {}
number(train, known)
mine = vocabulary_of(test)
rows = encode(test, mine)
model(torch.tensor(rows))
"""


LABELS = """
class Texts(Dataset):
    def __init__(self, texts, labels, classes):
        self.classes = {c: i for i, c in enumerate(classes)}
        self.ids = {}
        for word in words_of(texts):
            self.ids[word] = len(self.ids)


test = Texts(read("test"), names, classes)
"""
ENCODER = """
def encode(texts, labels, stoi):
    y = LabelEncoder().fit_transform(labels)
    return [[stoi[w] for w in t] for t in texts], y


def build(texts):
    return {w: i for i, w in enumerate(sorted(set(texts)))}


stoi = build(test)
x, y = encode(test, labels, stoi)
model(x)
"""


@pytest.mark.parametrize(
    ("code", "used", "made"),
    [
        (TOKENIZER, "train_loader =", "train_ids ="),
        (TOKENIZER, "test_loader =", "test_ids ="),
        (INSIDE, "test =", "self.vocabulary ="),
        (FUNCTIONS.replace("vocabulary_of", "build_vocab_from_iterator"), "model(", "mine ="),
        (LABELS, "test =", "self.ids[word] ="),
        (ENCODER, "model(", "stoi ="),
        (FUNCTIONS, "number(train", "number(train"),
        (FUNCTIONS, "model(", None),
        ("x = torch.zeros(3)\ny = x * 2\n", "y =", None),
    ],
)
def test_the_line_that_numbers(tmp_path: Path, code: str, used: str, made: str | None) -> None:
    script = tmp_path / "train.py"
    script.write_text(code)
    lines = code.splitlines()
    at = {word: next(i for i, text in enumerate(lines, 1) if word in text) for word in (used, made) if word}
    assert vocabulary_line(str(script), at[used]) == ((str(script), at[made]) if made else None)


def test_odd_sources_have_no_answer(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("def (")
    assert vocabulary_line(str(script), 1) is None
    assert vocabulary_line(str(tmp_path / "none.py"), 1) is None


def test_names_that_are_bound_again_and_again_take_no_time(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("".join(f"a = f(a, b, {i})\nb = g(b, a)\n" for i in range(200)) + "model(a, b)\n")
    start = time.process_time()
    assert vocabulary_line(str(script), 401) is None
    assert time.process_time() - start < 1


def test_functions_that_call_each_other_take_no_time(tmp_path: Path) -> None:
    script, calls = tmp_path / "train.py", "; ".join(f"f{i}(x)" for i in range(30))
    script.write_text("".join(f"def f{i}(x):\n    {calls}\n" for i in range(30)) + "model(f1(texts))\n")
    start = time.process_time()
    assert vocabulary_line(str(script), 61) is None
    assert time.process_time() - start < 1
