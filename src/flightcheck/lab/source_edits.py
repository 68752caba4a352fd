"""Edits of one line of a user's code, by its syntax.

The line may be a part of a longer statement: ``nn.Linear(64, 10), nn.Softmax(dim=1))``.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from typing import Final

from flightcheck.recording.layouts import crossing

_LAST: Final = re.compile(r"(?<=[\w)\]])\[(:,\s*)?-1(?=\s*[,\]])")
_SHIFTING: Final = re.compile(r"\[(?:(?::|\.\.\.),\s*)*(1:|:-1)(?:,\s*:)*\]")
_SEQUENCE_LAYER: Final = re.compile("LSTM|GRU|RNN|MultiheadAttention|Transformer[A-Za-z]*")
_CLOSES: Final = {"(": ")", "[": "]", "{": "}"}
_OPENS: Final = {closing: opening for opening, closing in _CLOSES.items()}
_FUNCTIONS_OF: Final = frozenset({"torch", "F", "functional", "special", "self", "cls"})
"""Owners of functions and of modules: what is called is given as the first argument. Any other owner is the tensor."""


_PLACES: Final = (ast.Name, ast.Attribute, ast.Subscript)
_OF_ARRAYS: Final = ("numpy", "scipy", "sklearn", "skimage", "cv2", "pandas")
_OF_A_LOSS: Final = 2
_OF_ATTENTION: Final = 3
"""Positional arguments."""


def without_call(line: str, name: str) -> str:
    """The line without an activation.

    A call gives way to the tensor that it is given; a module that is made, to ``nn.Identity()``, or to nothing where it
    is one of several layers.

    Args:
        line: one line of code, without its indentation.
        name: of the activation, such as ``softmax``, in any spelling of its case.

    Returns:
        The line as it was, if no such call was found in it.
    """
    wanted = _plain(name)
    tree = _parsed(line)
    if tree is None:
        return line
    for node, owner in _calls(tree.root):
        if _plain(_called(node)) != wanted:
            continue
        if not _called(node)[:1].isupper():
            given = _given(node)
            return line if given is None else tree.replaced(node, tree.text(given))
        if _is_one_of_several(node, owner):
            return tree.dropped(node)
        return tree.replaced(node, "nn.Identity()")
    return line


def with_clamped(line: str, eps: str) -> str:
    """The line with ``.clamp_min(eps)`` on what logarithms and roots are given, and on tensors that divide."""
    tree = _parsed(line)
    if tree is None:
        return line
    for node, _ in _calls(tree.root):
        if _called(node) in ("log", "sqrt", "log2", "log10", "rsqrt"):
            given = _given(node)
            if given is not None:
                return tree.replaced(given, _clamped(tree.text(given), given, eps))
    for part in ast.walk(tree.root):
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Div) and not _is_a_number(part.right):
            return tree.replaced(part.right, _clamped(tree.text(part.right), part.right, eps))
    return line


def with_axes_moved(line: str, before: Sequence[int], after: Sequence[int]) -> str:
    """The line with a transpose or permute in the place of its only ``view`` or ``reshape``, or beside it."""
    tree, move = _parsed(line), crossing(tuple(before), tuple(after))
    calls = [] if tree is None else [c for c, _ in _calls(tree.root) if _called(c) in ("view", "reshape")]
    if tree is None or move is None or len(calls) != 1 or (given := _given(calls[0])) is None:
        return line
    sizes = [a for a in calls[0].args if a is not given]
    if len(sizes) == 1 and isinstance(sizes[0], (ast.Tuple, ast.List)):
        sizes = list(sizes[0].elts)
    text = tree.text(given)
    text = text if isinstance(given, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)) else f"({text})"
    written = [tree.text(a) for a in sizes]
    if move.split == tuple(before):
        merged = "" if move.moved == tuple(after) else f".reshape({', '.join(written)})"
        return tree.replaced(calls[0], f"{text}{move.code}{merged}")
    if move.moved != tuple(after) or len(written) != len(after):
        return line
    ordered = [written[move.order.index(k)] for k in range(len(written))]
    return tree.replaced(calls[0], f"{text}.reshape({', '.join(ordered)}){move.code}")


class _Line:
    """A line that was parsed after brackets had been added where it opens or closes more than it should."""

    def __init__(self, line: str, before: str, root: ast.AST) -> None:
        self.root = root
        self._line = line
        self._before = before

    def text(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._line[start:end]

    def replaced(self, node: ast.expr, text: str) -> str:
        start, end = self._span(node)
        return self._line[:start] + text + self._line[end:]

    def dropped(self, node: ast.expr) -> str:
        """Without the node and the comma that parts it from its neighbours."""
        start, end = self._span(node)
        before, after = self._line[:start].rstrip(), self._line[end:].lstrip()
        if before.endswith(","):
            return before[:-1].rstrip() + after if not after.startswith(",") else before + after[1:]
        return before + after.removeprefix(",").lstrip()

    def _span(self, node: ast.expr) -> tuple[int, int]:
        """Offsets in characters; Python counts in bytes."""
        whole = (self._before + self._line).encode()
        ends = (node.col_offset, node.end_col_offset or node.col_offset)
        start, end = (len(whole[:at].decode()) - len(self._before) for at in ends)
        return max(start, 0), min(end, len(self._line))


def _parsed(line: str) -> _Line | None:
    before, after = _missing(line)
    endings: list[Callable[[str], str]] = [lambda s: s, lambda s: s + " pass", lambda s: s.rstrip().rstrip(",")]
    for ending in endings:
        try:
            return _Line(line, before, ast.parse(before + ending(line) + after))
        except (SyntaxError, ValueError):
            continue
    return None


def _missing(line: str) -> tuple[str, str]:
    """Brackets that are closed and not opened in this line, and the other way round."""
    opened: list[str] = []
    before = ""
    try:
        for token in tokenize.generate_tokens(StringIO(line).readline):
            if token.string in _CLOSES:
                opened.append(token.string)
            elif token.string in _OPENS:
                if opened:
                    opened.pop()
                else:
                    before = _OPENS[token.string] + before
    except (tokenize.TokenError, IndentationError):  # the line ends within brackets: all its tokens came before that
        pass
    return before, "".join(_CLOSES[o] for o in reversed(opened))


def with_option(line: str, option: str, value: str) -> str:
    """The line with an option of the sequence layer that it makes; as it was if it makes none."""
    named = re.sub(rf"\b{option}\s*=\s*[^,)]+", f"{option}={value}", line)
    tree = _parsed(line)
    if named != line or tree is None:
        return named
    for node, _ in _calls(tree.root):
        if _SEQUENCE_LAYER.fullmatch(_called(node)):
            return tree.replaced(node, f"{tree.text(node)[:-1].rstrip(', ')}, {option}={value})")
    return line


def _calls(root: ast.AST) -> Iterator[tuple[ast.Call, ast.AST]]:
    """Each call with the node around it, the outermost first."""
    for owner in ast.walk(root):
        for node in ast.iter_child_nodes(owner):
            if isinstance(node, ast.Call):
                yield node, owner


def _is_one_of_several(node: ast.Call, owner: ast.AST) -> bool:
    if isinstance(owner, ast.Call):
        return len(owner.args) > 1 and node in owner.args
    return isinstance(owner, (ast.List, ast.Tuple))


def _is_a_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Call) and _called(node) in ("len", "float", "int"))


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _given(node: ast.Call) -> ast.expr | None:
    """The tensor that is given to a function, a module or a method."""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    if owner is not None and name not in _FUNCTIONS_OF:
        return owner
    if node.args:
        return node.args[0]
    return next((k.value for k in node.keywords if k.arg in ("input", "x")), None)


def _clamped(text: str, node: ast.expr, eps: str) -> str:
    whole = isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)) or text.startswith("(")
    return f"{text}.clamp_min({eps})" if whole else f"({text}).clamp_min({eps})"


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def parsed_line(line: str) -> ast.AST | None:
    """The syntax of a line, which may be a part of a longer statement; None for what is no code."""
    tree = _parsed(line)
    return tree.root if tree is not None else None


def with_one_shape(line: str, advised: str = "") -> str:
    """The line with prediction and target in one shape, where it holds one call of exactly these two.

    Args:
        line: one line of code, without its indentation.
        advised: the advice in words. What it begins with (``target.squeeze(-1)``) is what the line gets; else the
            prediction gets the shape of the target.
    """
    tree = _parsed(line)
    pairs = (
        [] if tree is None else [c.args for c, _ in _calls(tree.root) if len(c.args) == _OF_A_LOSS and not c.keywords]
    )
    if tree is None or len(pairs) != 1 or not all(isinstance(a, _PLACES) for a in pairs[0][1:]):
        return line
    prediction, target = pairs[0]
    if not isinstance(prediction, (*_PLACES, ast.Call)):
        return line
    if squeezed := re.match(r"(prediction|target)(\.squeeze\(-?\d+\))", advised):
        which = prediction if squeezed[1] == "prediction" else target
        return tree.replaced(which, tree.text(which) + squeezed[2])
    return tree.replaced(prediction, f"{tree.text(prediction)}.reshape({tree.text(target)}.shape)")


def with_causal_mask(line: str) -> str:
    """The line with ``is_causal=True``, where it calls PyTorch's own attention without any mask."""
    tree = _parsed(line)
    calls = [] if tree is None else [c for c, _ in _calls(tree.root) if _called(c) == "scaled_dot_product_attention"]
    if tree is None or len(calls) != 1 or len(calls[0].args) != _OF_ATTENTION or _masked(calls[0]):
        return line
    return tree.replaced(calls[0], f"{tree.text(calls[0])[:-1].rstrip(', ')}, is_causal=True)")


def _masked(call: ast.Call) -> bool:
    return any(k.arg in ("attn_mask", "is_causal", None) for k in call.keywords)


def is_expression(code: str) -> bool:
    """The text is one whole expression, no part of a statement over several lines."""
    try:
        ast.parse(code, mode="eval")
    except SyntaxError:
        return False
    return True


def shifted_once(code: str) -> str:
    """The line without the slices of outputs and targets; empty if it does not hold one of each."""
    found = _SHIFTING.findall(code)
    return _SHIFTING.sub("", code) if sorted(found) == ["1:", ":-1"] else ""


def one_apart(code: str) -> str:
    """The line with inputs that end, and targets that begin, one position apart; empty unless both are cut alike."""
    for both, other, at in (("[:, 1:]", "[:, :-1]", 0), ("[:, :-1]", "[:, 1:]", 1)):
        parts = code.split(both)
        if len(parts) == 3 and other not in code:
            return parts[0] + (other, both)[at] + parts[1] + (both, other)[at] + parts[2]
    return ""


def at_their_ends(code: str) -> str:
    """The line with the last output of each sequence at its own end; empty if it does not read exactly one."""
    found = _LAST.findall(code)
    if len(found) != 1:
        return ""
    rows = "torch.arange(len(lengths))"
    return _LAST.sub(lambda m: f"[{rows}, lengths - 1" if m.group(1) else f"[lengths - 1, {rows}", code)


def calls_arrays(code: str, source: str) -> bool:
    """The line calls something that its file imports from NumPy or a library over it: tensors that learn are no arrays.

    Args:
        code: one line, without its indentation.
        source: of the whole file.
    """
    line = parsed_line(code)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name.partition(".")[0] for a in node.names if a.name.startswith(_OF_ARRAYS)}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_OF_ARRAYS):
            names |= {a.asname or a.name for a in node.names}
    called = [ast.unparse(c.func).partition(".")[0] for c, _ in _calls(line)] if line is not None else []
    return not names.isdisjoint(called)
