"""Statements written anew so that they take the next element, turn no image over, or use what is known already."""

from __future__ import annotations

import ast
import copy
from typing import Final

from flightcheck.recording.separating import HELPER

_METHODS: Final = {"flip", "fliplr", "flipud", "rot90", "hflip", "vflip", "horizontal_flip", "vertical_flip"}
"""Functions and methods that give back an image turned over."""
_TRANSFORMS: Final = {
    "RandomHorizontalFlip", "RandomVerticalFlip", "HorizontalFlip", "VerticalFlip", "RandomRotate90",
}  # fmt: skip
"""Classes of transforms that do it with a probability ``p``."""
_LIBRARIES: Final = {"torch", "np", "numpy", "F", "TF", "functional", "K", "kornia", "cv2", "v2"}


def later(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``series[rows + n - 1]`` becomes ``helper.later(series, rows + n - 1)``, where the place is computed."""
    found = 0

    class Later(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            nonlocal found
            if not isinstance(node.ctx, ast.Load) or not isinstance(node.slice, ast.BinOp):
                return self.generic_visit(node)
            found += 1
            helper = ast.Attribute(ast.Name(HELPER, ast.Load()), "later", ast.Load())
            return ast.Call(helper, [node.value, node.slice], [])

    made = Later().visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if found == 1 else ""


def unturned(statement: ast.stmt, chosen: ast.stmt) -> str:
    """``x.flip(-1)``, ``np.fliplr(x)`` and ``x[:, ::-1]`` become ``x``, ``RandomHorizontalFlip()`` gets ``p=0.0``."""
    turning = _Unturned()
    made = turning.visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if turning.found else ""


class _Unturned(ast.NodeTransformer):
    """What turns an image over gives it back."""

    def __init__(self) -> None:
        self.found = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _TRANSFORMS:
            self.found += 1
            node.args = []
            node.keywords = [k for k in node.keywords if k.arg != "p"] + [ast.keyword("p", ast.Constant(0.0))]
            return node
        if name not in _METHODS:
            return node
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        base = owner
        while isinstance(base, ast.Attribute):
            base = base.value
        of_library = owner is None or (isinstance(base, ast.Name) and base.id in _LIBRARIES)
        image = (node.args[0] if node.args else None) if of_library else owner
        if image is None:
            return node
        self.found += 1
        return image

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        backwards = [
            p for p in parts if isinstance(p, ast.Slice) and p.step is not None and ast.unparse(p.step) == "-1"
        ]
        if not backwards or not isinstance(node.ctx, ast.Load):
            return node
        self.found += 1
        for part in backwards:
            part.step = None
        return node


def with_known(tree: ast.Module, statement: ast.stmt, chosen: ast.stmt) -> str:
    """``encode(test, vocabulary(test))`` becomes ``encode(test, words)`` where ``words = vocabulary(train)`` came
    first; so does ``other = vocabulary(test)``.
    """
    found = 0

    class Known(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            nonlocal found
            before = found
            self.generic_visit(node)
            name = known_result(tree, node) if found == before else None
            if name is None:
                return node
            found += 1
            return copy.deepcopy(name)

    made = Known().visit(statement)
    return ast.unparse(ast.fix_missing_locations(made)) if found == 1 else ""


def known_result(tree: ast.Module, call: ast.Call) -> ast.expr | None:
    """The name that holds what the same function of the user made of other data in an earlier line, if there is one."""
    if not isinstance(call.func, ast.Name) or not any(
        isinstance(n, ast.FunctionDef) and n.name == call.func.id for n in ast.walk(tree)
    ):
        return None
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or node.lineno >= call.lineno or len(node.targets) != 1:
            continue
        made, target = node.value, node.targets[0]
        same = isinstance(made, ast.Call) and isinstance(made.func, ast.Name) and made.func.id == call.func.id
        if same and isinstance(target, ast.Name | ast.Attribute) and ast.dump(made) != ast.dump(call):
            return ast.parse(ast.unparse(target), mode="eval").body
    return None
