"""Is more of a value better, or less? Told by names on the way back to where it is computed, and by the operation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Final

from flightcheck.recording.provenance.definitions import Definitions
from flightcheck.recording.provenance.handing_on import is_module
from flightcheck.recording.provenance.source import Function, Source, Value, constant_of, last_name
from flightcheck.recording.provenance.vocabulary import words

_HIGHER: Final = re.compile(
    r"(?:^|_)(?:acc|accs|accuracy|f1|auc|auroc|iou|miou|dice|precision|recall|bleu|rouge|r2|psnr|ssim|ndcg|mrr|top1|kappa"
    r"|correct|hits|reward)(?:_|$)"
)
_LOWER: Final = re.compile(
    r"(?:^|_)(?:loss|losses|err|error|errors|mse|mae|rmse|mape|ppl|perplexity|nll|wer|cer|brier|crps|rmsle|logloss)(?:_|$)"
)
_LOSSES: Final = re.compile(r"cross_entropy|_loss$|_loss_|_error$")
_SAME: Final = words(
    "mean sum item float double cpu detach numpy tolist round to type astype long int nanmean average fmean "
    "squeeze all stack cat tensor as_tensor array asarray"
)
"""Calls after which more is more, as before."""
MORE, LESS, UNKNOWN = 1, -1, 0


def meaning_of(name: str) -> set[str]:
    """``higher`` or ``lower``: what the words of a name say is better; both of them where they contradict."""
    word = name.lower()
    return {said for said, pattern in (("higher", _HIGHER), ("lower", _LOWER)) if pattern.search(word)}


def which_is_better(source: Source, node: ast.AST) -> str:
    """``higher`` or ``lower`` of the value of an expression, as far as all ways to where it is computed agree.

    A share of equal elements is an accuracy, whatever it is called; one of unequal elements is an error; ``1 - x`` and
    ``-x`` turn the meaning round. Empty where the source does not tell.
    """
    found = _Better().of(Value(source, node))
    return {MORE: "higher", LESS: "lower"}.get(found or UNKNOWN, "")


class _Better(Definitions):
    """Follows a value back until something says which way is better."""

    def of(self, value: Value, depth: int = 0) -> int | None:
        """`MORE`, `LESS` or `UNKNOWN`; None for a constant, which says nothing."""
        if not self._may_go_on(depth):
            return UNKNOWN
        node = value.node
        if isinstance(node, ast.Constant) or constant_of(node) is not None:
            return None
        if isinstance(node, ast.Name | ast.Attribute) and (said := meaning_of(last_name(node))):
            return UNKNOWN if len(said) > 1 else MORE if "higher" in said else LESS
        if isinstance(node, ast.Compare):
            return _equality(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return _turned(self.of(value.of(node.operand), depth + 1))
        if isinstance(node, ast.BinOp):
            return self._arithmetic(value, node, depth)
        if isinstance(node, ast.AugAssign):
            part = self.of(value.of(node.value), depth + 1)
            return part if isinstance(node.op, ast.Add) else UNKNOWN
        if isinstance(node, ast.Call) and self._callee(value, node) is None:
            return self._library(value, node, depth)
        ways = [self.of(d, depth + 1) for d in self._definitions(value)]
        return _agreed(ways) if ways else UNKNOWN

    def _arithmetic(self, value: Value, node: ast.BinOp, depth: int) -> int | None:
        left, right = (self.of(value.of(n), depth + 1) for n in (node.left, node.right))
        if isinstance(node.op, ast.Add):
            return _agreed((left, right))
        if isinstance(node.op, ast.Sub):
            return _agreed((left, _turned(right)))
        if isinstance(node.op, ast.Mult):
            known = [side for side in (left, right) if side]  # times a number of examples
            return (_turned(known[0]) if _negative(node) else known[0]) if len(known) == 1 else UNKNOWN
        if isinstance(node.op, ast.Div):
            return left  # by a number of examples
        return UNKNOWN

    def _library(self, value: Value, call: ast.Call, depth: int) -> int | None:
        name = last_name(call.func)
        if name in ("eq", "equal", "ne", "not_equal"):
            return MORE if name.startswith("eq") else LESS
        if _LOSSES.search(name):
            return LESS
        if said := meaning_of(name):
            return UNKNOWN if len(said) > 1 else MORE if "higher" in said else LESS
        if name not in _SAME:
            return UNKNOWN
        method = isinstance(call.func, ast.Attribute) and not is_module(value.source, call.func.value)
        of = call.func.value if method and isinstance(call.func, ast.Attribute) else call.args[0] if call.args else None
        return UNKNOWN if of is None else self.of(value.of(of), depth + 1)

    def _calls_of(self, source: Source, function: Function) -> list[ast.Call]:
        """Calls of an instance, too, where the function is ``__call__``."""
        owner = source.owner(function)
        if owner is None or getattr(function, "name", "") != "__call__":
            return super()._calls_of(source, function)
        names = {
            last_name(n.targets[0])
            for n in source.nodes
            if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call) and last_name(n.value.func) == owner.name
        }
        return [c for c in source.calls if last_name(c.func) in names]


def _equality(node: ast.Compare) -> int:
    """Two things that are computed are equal, or are not: one of them may be a prediction."""
    if len(node.ops) != 1 or constant_of(node.left) is not None or constant_of(node.comparators[0]) is not None:
        return UNKNOWN
    return MORE if isinstance(node.ops[0], ast.Eq) else LESS if isinstance(node.ops[0], ast.NotEq) else UNKNOWN


def _negative(node: ast.BinOp) -> bool:
    return any(isinstance(c := constant_of(side), int | float) and c < 0 for side in (node.left, node.right))


def _turned(meaning: int | None) -> int | None:
    return None if meaning is None else -meaning


def _agreed(meanings: Iterable[int | None]) -> int | None:
    """What all ways say that lead to something computed."""
    said = {m for m in meanings if m is not None}
    return said.pop() if len(said) == 1 else UNKNOWN if said else None
