"""Statements written anew: each layer is an object of its own, each result is kept or written where it belongs, each
parameter is frozen.
"""

from __future__ import annotations

import ast
from typing import Final

HELPER: Final = "__flightcheck__"
"""Name of the object whose methods a rewritten statement may call; in a trial it is a built-in name."""


class Helped(ast.NodeTransformer):
    """Puts what a method of the helper makes of a name in the place of the name, wherever it is read."""

    def __init__(self, name: str, method: str, *before: ast.expr) -> None:
        """Args:
        name: in the source.
        method: is called with the value of the name, as the last argument.
        before: the arguments before it.
        """
        self.name, self.method, self.before, self.found = name, method, before, 0

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id != self.name or not isinstance(node.ctx, ast.Load):
            return node
        self.found += 1
        helper = ast.Attribute(ast.Name(HELPER, ast.Load()), self.method, ast.Load())
        return ast.Call(helper, [*self.before, node], [])

    def rewritten(self, statement: ast.stmt) -> str:
        """The statement with it; empty where the name is not read."""
        made = self.visit(statement)
        return ast.unparse(ast.fix_missing_locations(made)) if self.found else ""


def separated(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``[make()] * n`` becomes ``[make() for _ in range(n)]``; what is made already is copied for each place."""
    found = 0

    class Separate(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
            nonlocal found
            held = next((s for s in (node.left, node.right) if isinstance(s, ast.List)), None)
            if held is None or not isinstance(node.op, ast.Mult) or not held.elts:
                return self.generic_visit(node)
            found += 1
            times = node.right if held is node.left else node.left
            makers = [_anew(e) for e in held.elts]
            rounds = ast.comprehension(ast.Name("_", ast.Store()), _range(times), [], 0)
            if len(makers) == 1:
                return ast.ListComp(makers[0], [rounds])
            each = ast.comprehension(ast.Name("layer", ast.Store()), ast.Tuple(makers, ast.Load()), [], 0)
            return ast.ListComp(ast.Name("layer", ast.Load()), [rounds, each])

        def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
            return self._comprehension(node)

        def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
            return self._comprehension(node)

        def _comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> ast.AST:
            nonlocal found
            if not isinstance(node.elt, ast.Name | ast.Attribute):
                return self.generic_visit(node)
            found += 1
            node.elt = _anew(node.elt)
            return node

    made = Separate().visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if found == 1 else ""


def _range(times: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("range", ast.Load()), [times], [])


def _anew(element: ast.expr) -> ast.expr:
    """A construction is one for each place; anything else is copied."""
    if isinstance(element, ast.Call):
        return element
    return ast.Call(ast.Attribute(ast.Name(HELPER, ast.Load()), "deepcopy", ast.Load()), [element], [])


def assigned(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``F.relu(x)`` becomes ``x = F.relu(x)``, ``scores.masked_fill(m, v)`` becomes ``scores = …``."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return ""
    call = statement.value
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    of_tensor = isinstance(owner, ast.Name) and owner.id not in ("self", "torch", "F", "nn", "functional")
    first = owner if of_tensor else call.args[0] if call.args else None
    return f"{first.id} = {ast.unparse(call)}" if isinstance(first, ast.Name) else ""


def frozen(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``p.require_grad = False`` and ``net.requires_grad = False`` become ``p.requires_grad_(False)``."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return ""
    target = statement.targets[0]
    if not isinstance(target, ast.Attribute):
        return ""
    return f"{ast.unparse(target.value)}.requires_grad_({ast.unparse(statement.value)})"


def in_place(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``slow = d * slow + (1 - d) * fast`` becomes ``slow.data.copy_(d * slow + (1 - d) * fast)``."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return ""
    (target,) = statement.targets
    return f"{target.id}.data.copy_({ast.unparse(statement.value)})" if isinstance(target, ast.Name) else ""


def handed_out(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``return self.state, reward`` becomes ``return helper.apart(self.state), helper.apart(reward)``."""
    if not isinstance(statement, ast.Return) or statement.value is None:
        return ""
    if isinstance(statement.value, ast.Tuple):
        statement.value.elts = [_apart(e) for e in statement.value.elts]
    else:
        statement.value = _apart(statement.value)
    return ast.unparse(ast.fix_missing_locations(statement))


def _apart(element: ast.expr) -> ast.expr:
    if isinstance(element, ast.Constant | ast.BinOp | ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Dict | ast.Starred):
        return element
    return ast.Call(ast.Attribute(ast.Name(HELPER, ast.Load()), "apart", ast.Load()), [element], [])
