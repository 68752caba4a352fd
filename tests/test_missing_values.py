"""Zeros in the place of what is missing, and vocabularies that are cut: found in statements, and written anew."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from flightcheck.recording.missing_values import MARK, lines_of_fills
from flightcheck.recording.provenance.cut_vocabularies import only_cut
from flightcheck.recording.provenance.fills import fills_of_missing
from flightcheck.recording.provenance.stop_words import negations_left_out
from flightcheck.recording.records import Location
from flightcheck.recording.rewriting import rewritten, statement_at


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("y = np.nan_to_num(y[:9])", "y = np.nan_to_num(y[:9], nan=M)"),
        ("y = torch.nan_to_num(y, nan=0.0)", "y = torch.nan_to_num(y, nan=M)"),
        ("y.nan_to_num_()", "y.nan_to_num_(nan=M)"),
        ("y = table[names].fillna(0).to_numpy()", "y = table[names].fillna(M).to_numpy()"),
        ("table.fillna(value=0, inplace=True)", "table.fillna(value=M, inplace=True)"),
        ("y = np.where(np.isnan(y), 0, y)", "y = np.where(np.isnan(y), M, y)"),
        ("y = torch.where(torch.isfinite(y), y, 0.0)", "y = torch.where(torch.isfinite(y), y, M)"),
        ("y = y.masked_fill(torch.isnan(y), 0)", "y = y.masked_fill(torch.isnan(y), M)"),
        ("y[np.isnan(y)] = 0", "y[np.isnan(y)] = M"),
        ("y[y != y] = 0.0", "y[y != y] = M"),
        ("y = [0.0 if v == '' else float(v) for v in row]", "y = [M if v == '' else float(v) for v in row]"),
        ("y = [v if v is not None else 0 for v in row]", "y = [v if v is not None else M for v in row]"),
    ],
)
def test_a_zero_that_fills_gets_a_mark(statement: str, wanted: str) -> None:
    assert statement_at(statement, "marked", 1) == wanted.replace("M", repr(MARK))
    assert lines_of_fills(ast.parse(f"\n{statement}\n")) == [2]


@pytest.mark.parametrize(
    "statement",
    [
        "y = np.nan_to_num(y, nan=-1)",
        "y = table.fillna(table.mean())",
        "y = np.where(y > 0, 0, y)",
        "y[mask] = 0",
        "y[np.isnan(y)] = 5",
        "y = 0 if x > 3 else x",
        "y = np.where(np.isnan(y), other, y)",
        "known = ~np.isnan(y)",
    ],
)
def test_other_statements_stay(statement: str) -> None:
    assert statement_at(statement, "marked", 1) == "" and rewritten(statement, "marked", 1) == statement
    assert lines_of_fills(ast.parse(statement)) == []


def test_the_line_of_the_targets_stands_first(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("x = x.fillna(0)\ny = y.fillna(0)\nloss = bce(model(x), y)\n")
    target, loss = (Location(str(file), n) for n in (2, 3))
    assert fills_of_missing("binary_cross_entropy", loss, target) == [(str(file), 2), (str(file), 1)]
    assert fills_of_missing("binary_cross_entropy", loss, None) == [(str(file), 1), (str(file), 2)]
    assert fills_of_missing("mse_loss", loss, target) == []
    assert fills_of_missing("binary_cross_entropy", Location(str(tmp_path / "gone.py"), 1), None) == []


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("keep = counts.most_common(30)", "keep = counts.most_common()"),
        ("keep = counts.most_common()[:30]", "keep = counts.most_common()"),
        ("keep = sorted(c, key=c.get, reverse=True)[:n]", "keep = sorted(c, key=c.get, reverse=True)"),
        ("keep = [w for w, n in c.items() if n >= 50]", "keep = [w for w, n in c.items()]"),
        ("v = build_vocab_from_iterator(t, max_tokens=40, min_freq=9)", "v = build_vocab_from_iterator(t)"),
    ],
)
def test_a_vocabulary_keeps_all_words(statement: str, wanted: str, tmp_path: Path) -> None:
    assert statement_at(statement, "uncut", 1) == wanted
    file = tmp_path / "train.py"
    file.write_text(f"{statement}\nids = [vocab.get(w, 0) for w in words]\n")
    assert only_cut(str(file)) == (str(file), 1)
    file.write_text(f"{statement}\nids = [vocab[w] for w in words]\n")
    assert only_cut(str(file)) is None, "no word is unknown"
    file.write_text(f"{statement}\nother = counts.most_common(5)\nids = [v[w] if w in v else 1 for w in words]\n")
    assert only_cut(str(file)) is None, "which of the two?"


@pytest.mark.parametrize(
    "statement",
    ["x = rows[:30]", "x = sorted(rows)[:30]", "x = [w for w in rows if len(w) > 3]", "print(counts.most_common())"],
)
def test_other_parts_are_no_vocabulary(statement: str) -> None:
    assert statement_at(statement, "uncut", 1) == ""


_FEW = "'a', 'an', 'the', 'of', 'is'"


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        (f"STOP = {{{_FEW}, 'not'}}", f"STOP = {{{_FEW}, 'not'}} - {{'not'}}"),
        (
            "stops = set('a an the of is not no'.split())",
            "stops = set('a an the of is not no'.split()) - {'no', 'not'}",
        ),
        (f"stop_words = [{_FEW}, 'never']", f"stop_words = [w for w in [{_FEW}, 'never'] if w not in {{'never'}}]"),
        (
            "STOP = 'a,an,the,of,is,not'.split(',')",
            "STOP = [w for w in 'a,an,the,of,is,not'.split(',') if w not in {'not'}]",
        ),
        ("x = CountVectorizer(stop_words='english', min_df=2)", "x = CountVectorizer(min_df=2)"),
        (
            "kept = [w for w in ws if w not in ENGLISH_STOP_WORDS]",
            "kept = [w for w in ws if w not in ENGLISH_STOP_WORDS or w in {'no', 'not', 'nor', 'never', 'none', 'nothing', "
            "'cannot', 'neither'}]",
        ),
    ],
)
def test_words_that_are_left_out_lose_their_negations(statement: str, wanted: str, tmp_path: Path) -> None:
    assert statement_at(statement, "negations", 1) == wanted
    file = tmp_path / "train.py"
    name = statement.split(maxsplit=1)[0]
    file.write_text(f"{statement}\ndef words(text):\n    return [w for w in text.split() if w not in {name}]\n")
    assert negations_left_out(str(file)) == (str(file), 1)
    file.write_text(f"{statement}\n{statement}\nk = [w for w in t if w not in {name}]\n")
    assert negations_left_out(str(file)) is None, "which of the two?"


@pytest.mark.parametrize(
    "statement",
    [
        f"STOP = {{{_FEW}, 'and'}}", "STOP = {'not', 'no'}", f"NEGATIONS = {{{_FEW}, 'not'}}", "x = Vectorizer(stop_words=None)",
        "kept = [w for w in ws if w not in vocabulary]",
    ],
)  # fmt: skip
def test_other_words_stay_left_out(statement: str, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(f"{statement}\nkept = [w for w in text if w not in STOP]\n")
    assert negations_left_out(str(file)) is None
