"""Faults between the model's output and the loss."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from benchmarks.mutants.mutators.registered import mutator
from benchmarks.mutants.source import Change, Source, keyword, last_name, number

_OBJECTS = {
    "cross_entropy": "CrossEntropyLoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "mse_loss": "MSELoss",
    "l1_loss": "L1Loss",
    "smooth_l1_loss": "SmoothL1Loss",
    "huber_loss": "HuberLoss",
    "nll_loss": "NLLLoss",
    "binary_cross_entropy": "BCELoss",
}
_NUMBERS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


def losses(source: Source, *kinds: str) -> list[ast.Call]:
    """Calls of losses of these kinds, as functions or through objects that were built of their classes."""
    found = list(source.calls(*kinds))
    for name in source.assigned(*(_OBJECTS[k] for k in kinds)):
        found += [c for c in source.all(ast.Call) if isinstance(c, ast.Call) and ast.unparse(c.func) == name]
    for c in source.all(ast.Call):  # nn.CrossEntropyLoss()(out, y)
        if (
            isinstance(c, ast.Call)
            and isinstance(c.func, ast.Call)
            and last_name(c.func.func) in map(_OBJECTS.get, kinds)
        ):
            found.append(c)
    return [c for c in found if len(c.args) >= 2]


def _trained(source: Source, *kinds: str) -> list[ast.Call]:
    """The only loss of its kinds in the program, so that it is the one that is trained with."""
    found = losses(source, *kinds)
    same = {(ast.unparse(c.func)) for c in found}
    return found if len(same) == 1 else []


def _around_prediction(source: Source, calls: list[ast.Call], form: str) -> Iterator[Change]:
    if calls:
        edits = [(c.args[0], form.format(source.code(c.args[0]))) for c in calls]
        yield Change(source.replaced(*edits))


def _around_output(source: Source, form: str) -> Iterator[Change]:
    """What the only model returns goes through a function."""
    forwards = source.forwards()
    if len(forwards) == 1 and len(source.module_classes()) == 1:
        returns = [n for n in ast.walk(forwards[0]) if isinstance(n, ast.Return) and n.value is not None]
        if len(returns) == 1 and not isinstance(returns[0].value, ast.Tuple):
            value = returns[0].value
            assert value is not None
            yield Change(source.replaced((value, form.format(source.code(value)))))


def _last_of_sequential(source: Source, layer: str) -> Iterator[Change]:
    """A layer after the last one of the model that is a Sequential."""
    made = [s for name, s in source.models().items() if last_name(s.value.func) == "Sequential"]  # type: ignore[attr-defined]
    if len(made) == 1 and len(source.models()) == 1:
        layers = made[0].value.args  # type: ignore[attr-defined]
        if layers and isinstance(layers[-1], ast.Call) and last_name(layers[-1].func) == "Linear":
            prefix = ast.unparse(layers[-1].func).rpartition(".")[0]
            dot = f"{prefix}." if prefix else ""
            yield Change(source.replaced((layers[-1], f"{source.code(layers[-1])}, {dot}{layer}")))


@mutator("L03")
def softmax_in_the_loss_call(source: Source) -> Iterator[Change]:
    """Cross-entropy gets probabilities."""
    yield from _around_prediction(source, _trained(source, "cross_entropy"), "({}).softmax(1)")


@mutator("L03")
def softmax_on_the_output(source: Source) -> Iterator[Change]:
    """The model ends in a softmax, and cross-entropy follows."""
    if losses(source, "cross_entropy"):
        yield from _around_output(source, "torch.softmax({}, dim=-1)")
        yield from _last_of_sequential(source, "Softmax(dim=1)")


@mutator("L04")
def sigmoid_on_the_output(source: Source) -> Iterator[Change]:
    """The model ends in a sigmoid, and binary cross-entropy with logits follows."""
    if losses(source, "binary_cross_entropy_with_logits"):
        yield from _around_output(source, "torch.sigmoid({})")
        yield from _last_of_sequential(source, "Sigmoid()")
        yield from _around_prediction(source, _trained(source, "binary_cross_entropy_with_logits"), "torch.sigmoid({})")


@mutator("L05")
def log_softmax_removed(source: Source) -> Iterator[Change]:
    """The negative log-likelihood gets raw scores."""
    if losses(source, "nll_loss"):
        for call in source.calls("log_softmax"):
            inner = (
                call.args[0]
                if call.args and last_name(getattr(call.func, "value", call)) in ("F", "functional", "torch")
                else None
            )
            if inner is not None:
                yield Change(
                    source.replaced((call, source.code(inner))), frozenset(c.lineno for c in losses(source, "nll_loss"))
                )


@mutator("C16 L12 C05")
def relu_on_the_output(source: Source) -> Iterator[Change]:
    """The output of a regression cannot be negative."""
    if losses(source, *_NUMBERS):
        yield from _around_output(source, "torch.relu({})")
        yield from _last_of_sequential(source, "ReLU()")


@mutator("C16 L12")
def sigmoid_on_a_regression(source: Source) -> Iterator[Change]:
    """The output of a regression lies between 0 and 1."""
    if losses(source, *_NUMBERS):
        yield from _around_output(source, "torch.sigmoid({})")
        yield from _last_of_sequential(source, "Sigmoid()")


@mutator("C16 C05 L12")
def relu_on_scores(source: Source) -> Iterator[Change]:
    """The scores of classes cannot be negative."""
    if losses(source, "cross_entropy", "binary_cross_entropy_with_logits"):
        yield from _around_output(source, "torch.relu({})")
        yield from _last_of_sequential(source, "ReLU()")


@mutator("L06 C03 C33 C20")
def softmax_over_the_wrong_axis(source: Source) -> Iterator[Change]:
    """A softmax normalizes over the examples."""
    for call in source.calls("softmax", "log_softmax", "Softmax", "LogSoftmax"):
        given = keyword(call, "dim")
        node = given.value if given else call.args[-1] if call.args else None
        if node is not None and ast.unparse(node) in ("1", "-1", "2", "3"):
            yield Change(source.replaced((node, "0")), frozenset({call.lineno}))


@mutator("L07")
def prediction_keeps_its_axis(source: Source) -> Iterator[Change]:
    """Predictions (N, 1) are compared with targets (N,)."""
    ends = ("squeeze(1)", "squeeze(-1)", "squeeze()", "flatten()", "view(-1)", "reshape(-1)")
    for call in source.calls("squeeze", "flatten", "view", "reshape") if _has_numbers(source) else ():
        called = call.func.value if isinstance(call.func, ast.Attribute) else None
        of_model = isinstance(called, ast.Call) and any(n in ast.unparse(called.func) for n in ("model", "net"))
        if called is not None and of_model and ast.unparse(call).endswith(ends):
            yield Change(source.replaced((call, source.code(called))), _loss_lines(source))


@mutator("L07")
def target_lost_its_axis(source: Source) -> Iterator[Change]:
    """Targets (N,) are compared with predictions (N, 1)."""
    if not _has_numbers(source):
        return
    shaped: list[tuple[ast.expr, ast.expr]] = [
        (s, s.value)
        for s in source.all(ast.Subscript)
        if isinstance(s, ast.Subscript) and source.code(s).endswith("[:, None]")
    ]
    ends = ("unsqueeze(1)", "unsqueeze(-1)", "reshape(-1, 1)", "view(-1, 1)")
    shaped += [
        (c, c.func.value)
        for c in source.calls("unsqueeze", "reshape", "view")
        if isinstance(c.func, ast.Attribute) and source.code(c).endswith(ends)
    ]
    for whole, inner in shaped:
        if source.code(whole).lower().startswith(("y", "target", "torch.tensor(y", "torch.as_tensor(y")):
            yield Change(source.replaced((whole, source.code(inner))), _loss_lines(source))


def _has_numbers(source: Source) -> bool:
    """The program compares numbers."""
    return bool(losses(source, *_NUMBERS)) or "** 2" in source.text


def _loss_lines(source: Source) -> frozenset[int]:
    return frozenset(c.lineno for c in losses(source, *_NUMBERS)) | frozenset(
        n.lineno for n in source.all(ast.BinOp) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow)
    )


@mutator("L10 P01")
def loss_is_summed(source: Source) -> Iterator[Change]:
    """The loss is a sum over the batch."""
    kinds = ("cross_entropy", "mse_loss", "binary_cross_entropy_with_logits", "l1_loss", "smooth_l1_loss")
    for call in source.calls(*kinds, *(_OBJECTS[k] for k in kinds)):
        if not keyword(call, "reduction") and len(call.args) in (0, 2):
            code = source.code(call).rstrip()
            comma = ", " if call.args or call.keywords else ""
            new = code[:-1].rstrip().rstrip(",") + f'{comma}reduction="sum")'
            lines = frozenset(c.lineno for c in losses(source, *kinds))
            yield Change(source.replaced((call, new)), lines)


@mutator("L17 C02")
def prediction_detached(source: Source) -> Iterator[Change]:
    """The loss is computed of a detached copy that needs gradients by itself."""
    calls = _trained(source, *_OBJECTS)
    yield from _around_prediction(source, calls, "({}).detach().requires_grad_()")


@mutator("C02 L17 P08")
def features_detached(source: Source) -> Iterator[Change]:
    """What the first part of the model computed is cut off."""
    for s in (s for forward in source.forwards() for s in forward.body[:-1]):
        named = isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name)
        if named and isinstance(s, ast.Assign) and isinstance(s.value, ast.Call) and "self." in ast.unparse(s.value):
            yield Change(source.replaced((s.value, f"{source.code(s.value)}.detach()")))


@mutator("C02 L17")
def features_without_grad(source: Source) -> Iterator[Change]:
    """What the first part of the model computes is computed without gradients."""
    for forward in source.forwards():
        for s in forward.body[:-1]:
            one = isinstance(s, ast.Assign) and s.lineno == s.end_lineno and isinstance(s.targets[0], ast.Name)
            if one and "self." in ast.unparse(s):
                indent, line = " " * s.col_offset, source.lines[s.lineno - 1]
                lines = list(source.lines)
                lines[s.lineno - 1] = f"{indent}with torch.no_grad():\n    {line}"
                yield Change("".join(lines))


@mutator("L09")
def padding_counts(source: Source) -> Iterator[Change]:
    """The loss learns from padding."""
    for call in source.calls("cross_entropy", "CrossEntropyLoss", "nll_loss", "NLLLoss"):
        given = keyword(call, "ignore_index")
        if given and number(given.value) != -100:
            new = f"{ast.unparse(call.func)}({', '.join(source.code(a) for a in call.args)})"
            lines = frozenset(c.lineno for c in losses(source, "cross_entropy", "nll_loss"))
            yield Change(source.replaced((call, new)), lines)


@mutator("L20")
def target_not_shifted(source: Source) -> Iterator[Change]:
    """The target of a token is the token itself."""
    for s in source.all(ast.Subscript):
        if isinstance(s, ast.Subscript) and source.code(s).endswith("[:, 1:]") and source.code(s)[:-7].isidentifier():
            where = source.around(s, ast.FunctionDef) or source.tree
            if not any(last_name(c.func) == "backward" for c in ast.walk(where) if isinstance(c, ast.Call)):
                continue  # the target of an evaluation
            lines = frozenset(c.lineno for c in losses(source, "cross_entropy", "nll_loss"))
            yield Change(source.replaced((s, f"{source.code(s.value)}[:, :-1]")), lines)


@mutator("T09 L06")
def argmax_over_the_wrong_axis(source: Source) -> Iterator[Change]:
    """The evaluation looks for the best example of a class."""
    for call in source.calls("argmax"):
        if call.args and ast.unparse(call.args[-1]) in ("1", "-1"):
            yield Change(source.replaced((call.args[-1], "0")), frozenset({call.lineno}))
