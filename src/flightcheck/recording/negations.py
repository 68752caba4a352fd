"""A statement that leaves words out of texts, written anew so that negations stay."""

from __future__ import annotations

import ast
from typing import Final

NEGATIONS: Final = frozenset(
    {
        "no", "not", "nor", "never", "none", "nothing", "nobody", "neither", "nowhere", "cannot", "without", "ain",
        "aren", "couldn", "didn", "doesn", "hadn", "hasn", "haven", "isn", "mightn", "mustn", "needn", "shan",
        "shouldn", "wasn", "weren", "won", "wouldn", "n't", "don't", "didn't", "isn't", "wasn't", "doesn't",
    }
)  # fmt: skip
_LISTS: Final = {"ENGLISH_STOP_WORDS", "STOP_WORDS", "STOPWORDS"}
"""Names under which libraries (scikit-learn, spaCy, wordcloud) have such words, negations among them."""
_SHORTEST: Final = 6
"""Words: fewer are no list of words that say nothing."""
_KNOWN: Final = "{'no', 'not', 'nor', 'never', 'none', 'nothing', 'cannot', 'neither'}"


def with_negations(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``STOP = {"the", "not", …}`` loses its negations, ``stop_words="english"`` goes, and ``w not in
    ENGLISH_STOP_WORDS`` keeps them; empty for any other statement.
    """
    if isinstance(statement, ast.Assign) and (left_out := negations_in(statement.value)):
        whole, without = ast.unparse(statement.value), "{" + ", ".join(map(repr, sorted(left_out))) + "}"
        targets = " = ".join(map(ast.unparse, statement.targets))
        if _is_set(statement.value):
            return f"{targets} = {whole} - {without}"
        return f"{targets} = [w for w in {whole} if w not in {without}]"
    kept = _Kept()
    made = kept.visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if kept.found else ""


def leaves_out_negations(statement: ast.stmt) -> bool:
    """Such a statement."""
    if hasattr(statement, "body"):
        return False
    if isinstance(statement, ast.Assign) and negations_in(statement.value):
        return True
    return any(_of_a_library(n) or (isinstance(n, ast.keyword) and _is_english(n)) for n in ast.walk(statement))


def negations_in(node: ast.AST) -> set[str]:
    """Those among the words that are written down; none where these are few."""
    words = _words(node)
    return words & NEGATIONS if len(words) >= _SHORTEST else set()


def _words(node: ast.AST) -> set[str]:
    """Of a list of words, of ``"a an the".split()``, and of a set of such."""
    if isinstance(node, ast.Set | ast.List | ast.Tuple):
        return {e.value for e in node.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)}
    if not isinstance(node, ast.Call):
        return set()
    if isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset", "list", "tuple") and node.args:
        return _words(node.args[0])
    text = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr == "split" else None
    if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        return set()
    by = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    return {w.strip() for w in text.value.split(by if isinstance(by, str) else None)}


def _is_set(node: ast.AST) -> bool:
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset")
    return named or isinstance(node, ast.Set)


def _is_english(keyword: ast.keyword) -> bool:
    """``stop_words="english"`` of a vectorizer of scikit-learn."""
    return keyword.arg == "stop_words" and isinstance(keyword.value, ast.Constant) and keyword.value.value == "english"


def _of_a_library(node: ast.AST) -> bool:
    """``word not in ENGLISH_STOP_WORDS``."""
    if not (isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.NotIn)):
        return False
    named = node.comparators[0]
    return (named.attr if isinstance(named, ast.Attribute) else getattr(named, "id", "")) in _LISTS


class _Kept(ast.NodeTransformer):
    def __init__(self) -> None:
        self.found = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        kept = [k for k in node.keywords if not _is_english(k)]
        self.found += len(node.keywords) - len(kept)
        node.keywords = kept
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if not _of_a_library(node):
            return node
        self.found += 1
        kept = ast.Compare(node.left, [ast.In()], [ast.parse(_KNOWN, mode="eval").body])
        return ast.BoolOp(ast.Or(), [node, kept])
