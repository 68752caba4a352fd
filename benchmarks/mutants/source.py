"""A program's source, read through its syntax tree and changed at exact places."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

OPTIMIZERS: Final = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adamax")
_LOOPS: Final = (ast.For, ast.While)


@dataclass(frozen=True)
class Change:
    """A program with a fault."""

    text: str
    lines: frozenset[int] = frozenset()
    """Lines of the faulty text that are right beside those that differ from the healthy one."""


class Source:
    """A program and where its parts stand. Columns are those of ASCII; other programs have no mutants."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.splitlines(keepends=True)
        self.tree = ast.parse(text)
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line))

    def all(self, kind: type[ast.AST]) -> list[ast.AST]:
        """Nodes of a kind in the order of the text."""
        found = [n for n in ast.walk(self.tree) if isinstance(n, kind)]
        return sorted(found, key=lambda n: (getattr(n, "lineno", 0), getattr(n, "col_offset", 0)))

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Calls of a function or method by the last part of its name."""
        for node in self.all(ast.Call):
            if isinstance(node, ast.Call) and last_name(node.func) in names:
                yield node

    def code(self, node: ast.AST) -> str:
        """The text of a node."""
        start, end = self._span(node)
        return self.text[start:end]

    def _span(self, node: ast.AST) -> tuple[int, int]:
        start = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def replaced(self, *edits: tuple[ast.AST, str]) -> str:
        """The program with other text in place of some nodes, none of which holds another."""
        text = self.text
        for node, new in sorted(edits, key=lambda e: self._span(e[0]), reverse=True):
            start, end = self._span(node)
            text = text[:start] + new + text[end:]
        return text

    def without(self, statements: Sequence[ast.stmt]) -> str | None:
        """The program without whole statements on lines of their own; None where they share one."""
        gone: set[int] = set()
        for s in statements:
            block = self.block(s)
            own = range(s.lineno - 1, (s.end_lineno or s.lineno))
            if not self.alone(s):
                return None
            if all(other in statements for other in block):
                indent = " " * s.col_offset
                self_lines = [f"{indent}pass\n"]
                if s is block[0]:
                    return (
                        None
                        if len(block) > 1
                        else "".join([*self.lines[: own.start], *self_lines, *self.lines[own.stop :]])
                    )
            gone |= set(own)
        return "".join(line for n, line in enumerate(self.lines) if n not in gone)

    def alone(self, statement: ast.stmt) -> bool:
        """Nothing else stands on its lines."""
        first, last = self.lines[statement.lineno - 1], self.lines[(statement.end_lineno or statement.lineno) - 1]
        after = last[statement.end_col_offset :].strip()
        return not first[: statement.col_offset].strip() and (not after or after.startswith("#"))

    def inserted(self, after: ast.stmt, *new: str) -> str:
        """The program with lines after a statement, indented like it."""
        indent, at = " " * after.col_offset, after.end_lineno or after.lineno
        return "".join([*self.lines[:at], *(f"{indent}{line}\n" for line in new), *self.lines[at:]])

    def moved(self, statement: ast.stmt, before: ast.stmt) -> str:
        """The program with a later statement of the same block put before another."""
        first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
        own, at = self.lines[first:last], before.lineno - 1
        return "".join([*self.lines[:at], *own, *self.lines[at:first], *self.lines[last:]])

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that a node is in."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The statements beside it."""
        parent = self.parents[statement]
        for name in ("body", "orelse", "finalbody"):
            found = getattr(parent, name, None)
            if isinstance(found, list) and statement in found:
                return found
        return [statement]

    def around(self, node: ast.AST, kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> ast.AST | None:
        """The innermost node of a kind around it."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, kind):
                return node
        return None

    def loops(self, node: ast.AST) -> list[ast.AST]:
        """The loops of its function around it, the innermost first."""
        found: list[ast.AST] = []
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                break
            if isinstance(node, _LOOPS):
                found.append(node)
        return found

    def lines_of(self, *names: str) -> frozenset[int]:
        """Lines of the calls of these names."""
        return frozenset(c.lineno for c in self.calls(*names))

    def statements_calling(self, *names: str) -> list[ast.Expr]:
        """Statements that are such a call and nothing else."""
        return [
            s
            for s in self.all(ast.Expr)
            if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call) and last_name(s.value.func) in names
        ]

    def assigned(self, *names: str) -> dict[str, ast.Assign]:
        """Variables and attributes that get the result of such a call, by their code."""
        found: dict[str, ast.Assign] = {}
        for s in self.all(ast.Assign):
            if isinstance(s, ast.Assign) and isinstance(s.value, ast.Call) and last_name(s.value.func) in names:
                found[ast.unparse(s.targets[0])] = s
        return found

    def whole_statements(self, lines: frozenset[int]) -> frozenset[int]:
        """All lines of the simple statements, or heads of compound ones, that these lines are in."""
        found = set(lines)
        for s in self.all(ast.stmt):
            assert isinstance(s, ast.stmt)
            body = getattr(s, "body", None)
            last = body[0].lineno - 1 if body else s.end_lineno or s.lineno
            if lines & set(range(s.lineno, last + 1)):
                found |= set(range(s.lineno, last + 1))
        return frozenset(found)

    def module_classes(self) -> set[str]:
        """Names of the program's own modules."""
        return {
            c.name
            for c in self.all(ast.ClassDef)
            if isinstance(c, ast.ClassDef) and any(last_name(b) == "Module" for b in c.bases)
        }

    def quotients(self) -> list[tuple[ast.BinOp, ast.expr]]:
        """Divisions outside of texts and lambdas, and what is divided by."""
        found = [n for n in self.all(ast.BinOp) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div)]
        return [(n, n.right) for n in found if not self.around(n, (ast.JoinedStr, ast.Lambda))]

    def standardized(self) -> list[tuple[ast.BinOp, ast.expr, str]]:
        """Each ``(x - mean) / spread``: the whole, x, and the code of mean and spread."""
        found = [(n, n.left) for n, _ in self.quotients() if isinstance(n.left, ast.BinOp)]
        return [
            (n, inner.left, f"{ast.unparse(inner.right)}, {ast.unparse(n.right)}")
            for n, inner in found
            if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub)
        ]

    def models(self) -> dict[str, ast.Assign]:
        """Variables that get a module that is built in their statement, outside of classes."""
        made = self.assigned(*self.module_classes(), "Sequential")
        return {name: s for name, s in made.items() if not self.around(s, ast.ClassDef)}

    def optimizers(self) -> list[ast.Call]:
        """Calls that build an optimizer."""
        return list(self.calls(*OPTIMIZERS))

    def forwards(self) -> list[ast.FunctionDef]:
        """The forward methods."""
        return [f for f in self.all(ast.FunctionDef) if isinstance(f, ast.FunctionDef) and f.name == "forward"]


def last_name(node: ast.AST) -> str:
    """`relu` of `torch.nn.functional.relu`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def receiver(call: ast.Call) -> str:
    """`opt` of `opt.step()`."""
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def keyword(call: ast.Call, name: str) -> ast.keyword | None:
    """A keyword argument."""
    return next((k for k in call.keywords if k.arg == name), None)


def number(node: ast.AST | None) -> float | None:
    """The value of a literal number."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    return None


def is_optimizer(name: str) -> bool:
    """A name that people give to optimizers."""
    return bool(re.search(r"opt|adam|sgd", name, re.IGNORECASE))
