"""Conditions on runs, as ``runs --where`` takes them: ``lr<1e-3 and (finding=L03 or not tag=baseline)``."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from flightcheck.errors import UsageError
from flightcheck.tracking.history import field_names, field_of
from flightcheck.tracking.summary import Summary

Condition = Callable[[Summary], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<mark>[()])|(?P<compare><=|>=|!=|==|=|<|>|~)|(?P<quote>"[^"]*"|'[^']*')|(?P<word>[^\s()<>=!~"']+))"""
)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "==": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
HELP: Final = "for example: lr<1e-3 and finding=L03, or: not (tag=baseline or ended=exception)"


def parse(text: str) -> tuple[Condition, list[str]]:
    """A condition, and the names that it asks for.

    Raises:
        UsageError: it cannot be understood.
    """
    return _Parser(text).parse()


def select(runs: list[Summary], texts: Iterable[str]) -> list[Summary]:
    """The runs that meet all conditions.

    Raises:
        UsageError: a condition cannot be understood, or asks for a name that no run has.
    """
    for text in texts:
        condition, names = parse(text)
        require_names(runs, names)
        runs = [r for r in runs if condition(r)]
    return runs


def require_names(runs: list[Summary], names: Iterable[str]) -> None:
    """Every name is one that some run has.

    Raises:
        UsageError: one is not.
    """
    known: set[str] | None = None
    for name in names:
        if not runs or any(field_of(r, name) for r in runs):
            continue
        known = field_names(runs) if known is None else known
        if name.replace("-", "_") not in known:
            near = difflib.get_close_matches(name, known, 3)
            raise UsageError(f"no run has {name!r}; " + (f"did you mean {' or '.join(near)}?" if near else HELP))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.names: list[str] = []
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise UsageError(f"--where: cannot understand {text[at:].strip()!r}; {HELP}")
            at = found.end()
            self.tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))

    def parse(self) -> tuple[Condition, list[str]]:
        condition = self._either()
        if self.tokens:
            raise self._wrong(f"at {self.tokens[0][1]!r}")
        return condition, self.names

    def _wrong(self, where: str) -> UsageError:
        return UsageError(f"--where {self.text!r}: cannot be understood {where}; {HELP}")

    def _word(self, word: str) -> bool:
        if self.tokens and self.tokens[0] == ("word", word):
            del self.tokens[0]
            return True
        return False

    def _either(self) -> Condition:
        conditions = [self._both()]
        while self._word("or"):
            conditions.append(self._both())
        return conditions[0] if len(conditions) == 1 else lambda run: any(c(run) for c in conditions)

    def _both(self) -> Condition:
        conditions = [self._one()]
        while self._word("and"):
            conditions.append(self._one())
        return conditions[0] if len(conditions) == 1 else lambda run: all(c(run) for c in conditions)

    def _one(self) -> Condition:
        if self._word("not"):
            inner = self._one()
            return lambda run: not inner(run)
        if not self.tokens:
            raise self._wrong("at its end")
        kind, name = self.tokens.pop(0)
        if (kind, name) == ("mark", "("):
            condition = self._either()
            if not self.tokens or self.tokens.pop(0) != ("mark", ")"):
                raise self._wrong("without the ')' that is missing")
            return condition
        if kind != "word":
            raise self._wrong(f"at {name!r}")
        if len(self.tokens) < 2 or self.tokens[0][0] != "compare" or self.tokens[1][0] not in ("word", "quote"):
            raise self._wrong(f"after {name!r}: a comparison such as {name}=… is wanted")
        (_, sign), (_, wanted) = self.tokens.pop(0), self.tokens.pop(0)
        self.names.append(name)
        return _comparison(name, sign, wanted.strip("\"'"))


def _comparison(name: str, sign: str, wanted: str) -> Condition:
    if sign == "!=":
        same = _comparison(name, "=", wanted)
        return lambda run: not same(run)
    if sign == "~":
        return lambda run: any(wanted.lower() in str(v).lower() for v in field_of(run, name))
    compare, limit = _COMPARE[sign], _number(wanted)

    def holds(value: Any) -> bool:
        if limit is not None and (held := _number(value)) is not None:
            return compare(held, limit)
        return compare(str(value).lower(), wanted.lower())

    return lambda run: any(map(holds, field_of(run, name)))


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def sorted_by(runs: list[Summary], name: str) -> list[Summary]:
    """The runs in the order of a field, those without it last; a name that begins with ``-``: the largest first.

    Raises:
        UsageError: no run has the field.
    """
    descending, name = name.startswith("-"), name.removeprefix("-")
    require_names(runs, [name])
    keyed = [(values[0], r) for r in runs if (values := field_of(r, name))]
    numeric = [(n, r) for v, r in keyed if (n := _number(v)) is not None]
    texts = [(str(v), r) for v, r in keyed if _number(v) is None]
    without = [r for r in runs if not field_of(r, name)]
    ordered: list[Summary] = []
    for part in (numeric, texts):
        ordered += [r for _, r in sorted(part, key=lambda pair: pair[0], reverse=descending)]
    return ordered + without
