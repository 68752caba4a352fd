"""Faults of the training's steps, its optimizer, its schedule and its modes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from benchmarks.mutants.mutators.registered import mutator
from benchmarks.mutants.source import Change, Source, is_optimizer, keyword, last_name, number, receiver


def _steps(source: Source) -> list[ast.Expr]:
    return [s for s in source.statements_calling("step") if is_optimizer(receiver(s.value))]  # type: ignore[arg-type]


def _where_steps_are(source: Source) -> frozenset[int]:
    """Lines where a missing call belongs."""
    return source.lines_of("backward", "step")


def _lines_now(text: str, *names: str) -> frozenset[int]:
    return Source(text).lines_of(*names)


@mutator("P12 P21")
def zero_grad_removed(source: Source) -> Iterator[Change]:
    """Gradients are never cleared."""
    statements = source.statements_calling("zero_grad")
    if statements and len(statements) == len(list(source.calls("zero_grad"))):
        text = source.without(statements)
        if text:
            yield Change(text, _lines_now(text, "backward", "step"))


@mutator("P12")
def zero_grad_before_the_step(source: Source) -> Iterator[Change]:
    """Gradients are cleared between backward and step."""
    for step in _steps(source):
        block = source.block(step)
        clear = next((s for s in source.statements_calling("zero_grad") if s in block), None)
        back = next((s for s in source.statements_calling("backward") if s in block), None)
        if clear and back and clear.lineno < back.lineno < step.lineno and source.alone(clear) and source.alone(step):
            line = source.lines[clear.lineno - 1]
            lines = list(source.lines)
            lines.insert(step.lineno - 1, line)
            del lines[clear.lineno - 1]
            text = "".join(lines)
            yield Change(text, _lines_now(text, "zero_grad", "step", "backward"))


@mutator("P12 P08")
def step_removed(source: Source) -> Iterator[Change]:
    """The optimizer never steps."""
    steps = _steps(source)
    text = source.without(steps) if steps else None
    if text:
        yield Change(text, _lines_now(text, "backward", "zero_grad"))


@mutator("P12")
def step_before_backward(source: Source) -> Iterator[Change]:
    """The optimizer steps before the gradients of the step are there."""
    for step in _steps(source):
        back = next((s for s in source.statements_calling("backward") if s in source.block(step)), None)
        if back and back.lineno < step.lineno and source.alone(step) and source.alone(back):
            text = source.moved(step, back)
            yield Change(text, _lines_now(text, "zero_grad", "step", "backward"))


def _learning_rates(source: Source) -> Iterator[ast.Constant]:
    """Literals that are the learning rate: in the optimizer's call, or under the name that is given there."""
    for call in source.optimizers():
        given = keyword(call, "lr")
        node = given.value if given else call.args[1] if len(call.args) > 1 else None
        if isinstance(node, ast.Constant) and number(node):
            yield node
        elif node is not None:
            name = last_name(node)
            yield from _literals_named(source, name)


def _literals_named(source: Source, name: str) -> Iterator[ast.Constant]:
    for s in source.all(ast.Assign):
        if isinstance(s, ast.Assign) and last_name(s.targets[0]) == name and isinstance(s.value, ast.Constant):
            yield s.value
    for s in source.all(ast.AnnAssign):
        if isinstance(s, ast.AnnAssign) and last_name(s.target) == name and isinstance(s.value, ast.Constant):
            yield s.value
    for call in source.calls("add_argument"):
        first, default = call.args[0] if call.args else None, keyword(call, "default")
        option = str(first.value).strip("-").replace("-", "_") if isinstance(first, ast.Constant) else ""
        if option == name and default and isinstance(default.value, ast.Constant):
            yield default.value
    for function in source.all(ast.FunctionDef):
        if isinstance(function, ast.FunctionDef):
            named = function.args.args[len(function.args.args) - len(function.args.defaults) :]
            for argument, value in zip(named, function.args.defaults, strict=True):
                if argument.arg == name and isinstance(value, ast.Constant):
                    yield value


def _rates_times(source: Source, factor: float) -> Iterator[Change]:
    rates = list(dict.fromkeys(_learning_rates(source)))
    if rates and all(number(r) for r in rates):
        lines = frozenset(c.lineno for c in source.optimizers())
        yield Change(source.replaced(*((r, f"{number(r) * factor:g}") for r in rates)), lines)  # type: ignore[operator]


@mutator("P01")
def learning_rate_times_100(source: Source) -> Iterator[Change]:
    """The learning rate is a hundred times too high."""
    yield from _rates_times(source, 100)


@mutator("P02")
def learning_rate_by_1000(source: Source) -> Iterator[Change]:
    """The learning rate is a thousandth."""
    yield from _rates_times(source, 1e-3)


def _with_option(source: Source, name: str, value: str) -> Iterator[Change]:
    edits: list[tuple[ast.AST, str]] = []
    for call in source.optimizers():
        given = keyword(call, name)
        last = (*call.args, *(k.value for k in call.keywords))
        if not last:
            return
        end = max(last, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0))
        edits.append((given.value, value) if given else (end, f"{source.code(end)}, {name}={value}"))
    if edits:
        yield Change(source.replaced(*edits), frozenset(c.lineno for c in source.optimizers()))


@mutator("P13 L15 S05")
def weight_decay_absurd(source: Source) -> Iterator[Change]:
    """The decay erases the weights."""
    kinds = {last_name(c.func) for c in source.optimizers()}
    if len(kinds) == 1:
        yield from _with_option(source, "weight_decay", {"AdamW": "50.0", "SGD": "2.0"}.get(kinds.pop(), "1.0"))


@mutator("P14")
def adam_epsilon_large(source: Source) -> Iterator[Change]:
    """Adam divides by its epsilon."""
    kinds = {last_name(c.func) for c in source.optimizers()}
    if kinds and kinds <= {"Adam", "AdamW"}:
        yield from _with_option(source, "eps", "1.0")


@mutator("P05 P06")
def scheduler_stepped_per_batch(source: Source) -> Iterator[Change]:
    """A schedule that counts epochs is called for each batch."""
    steps = _steps(source)
    for s in source.statements_calling("step"):
        call = s.value
        if is_optimizer(receiver(call)) or call.args or not source.alone(s):  # type: ignore[arg-type, attr-defined]
            continue
        inner = [
            t for t in steps
            if source.alone(t) and len(source.loops(t)) > len(source.loops(s)) and source.loops(s)
            and source.loops(t)[-len(source.loops(s)) :] == source.loops(s)
        ]  # fmt: skip
        if inner and inner[0].lineno < s.lineno:
            step = inner[0]
            lines = list(source.lines)
            del lines[s.lineno - 1]
            lines.insert(step.end_lineno or step.lineno, " " * step.col_offset + source.code(s) + "\n")
            made = frozenset(c.lineno for c in source.calls(*_SCHEDULERS))
            yield Change("".join(lines), made | {step.lineno, step.lineno + 1})


_SCHEDULERS = ("CosineAnnealingLR", "StepLR", "MultiStepLR", "ExponentialLR", "OneCycleLR", "LambdaLR", "LinearLR")


@mutator("P17")
def clipped_to_nothing(source: Source) -> Iterator[Change]:
    """Gradients are clipped far below their size."""
    for call in source.calls("clip_grad_norm_", "clip_grad_value_"):
        given = call.args[1] if len(call.args) > 1 else call.keywords[0].value if call.keywords else None
        if number(given):
            yield Change(source.replaced((given, "1e-5")), frozenset({call.lineno}))  # type: ignore[arg-type]


@mutator("P17 C08 P01")
def clipping_removed(source: Source) -> Iterator[Change]:
    """Gradients are no longer clipped."""
    statements = source.statements_calling("clip_grad_norm_", "clip_grad_value_")
    text = source.without(statements) if statements else None
    if text:
        yield Change(text, _lines_now(text, "backward", "step"))


@mutator("L19")
def loss_climbed(source: Source) -> Iterator[Change]:
    """The negative of the loss is minimized."""
    for s in source.statements_calling("backward"):
        call = s.value
        assert isinstance(call, ast.Call)
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and not call.args:
            yield Change(source.replaced((call.func.value, f"(-{call.func.value.id})")), frozenset({call.lineno}))


@mutator("P25 P12")
def optimizer_built_in_each_step(source: Source) -> Iterator[Change]:
    """The optimizer is built anew for each batch and forgets its state."""
    for name, s in source.assigned("Adam", "AdamW").items():
        clear = next((c for c in source.statements_calling("zero_grad") if receiver(c.value) == name), None)  # type: ignore[arg-type]
        same = clear is not None and source.around(clear, ast.FunctionDef) is source.around(s, ast.FunctionDef)
        if clear is not None and same and source.loops(clear) and not source.loops(s) and source.alone(clear):
            code = source.code(s)
            if "\n" not in code:
                lines = list(source.lines)
                lines.insert(clear.lineno - 1, " " * clear.col_offset + code + "\n")
                yield Change("".join(lines), frozenset({clear.lineno, clear.lineno + 1}))


def _modes(source: Source, name: str) -> list[ast.Expr]:
    return [s for s in source.statements_calling(name) if not s.value.args]  # type: ignore[attr-defined]


def _has_modes(source: Source) -> bool:
    return any(
        "Norm" in c or "Dropout" in c
        for c in (last_name(n.func) for n in source.all(ast.Call) if isinstance(n, ast.Call))
    )


@mutator("C30 C25")
def train_not_restored(source: Source) -> Iterator[Change]:
    """After the first evaluation the model stays in eval mode."""
    statements = _modes(source, "train")
    if statements and _modes(source, "eval") and _has_modes(source):
        text = source.without(statements)
        if text:
            yield Change(text, _lines_now(text, "eval", "backward"))


@mutator("C30 C25 C27")
def eval_removed(source: Source) -> Iterator[Change]:
    """The model is evaluated in training mode."""
    statements = _modes(source, "eval")
    if statements and _has_modes(source):
        text = source.without(statements)
        if text:
            yield Change(text, _without_gradients(Source(text)))


def _without_gradients(source: Source) -> frozenset[int]:
    """Lines of calls under ``no_grad``, where a model is evaluated."""
    lines: set[int] = set()
    for node in ast.walk(source.tree):
        heads = getattr(node, "decorator_list", []) if isinstance(node, ast.FunctionDef) else []
        heads = [item.context_expr for item in node.items] if isinstance(node, ast.With) else heads
        if any(word in ast.unparse(h) for h in heads for word in ("no_grad", "inference_mode")):
            lines |= {c.lineno for c in ast.walk(node) if isinstance(c, ast.Call)}
    return frozenset(lines)


@mutator("C30 C25")
def trained_in_eval_mode(source: Source) -> Iterator[Change]:
    """The model is put into eval mode where it is to be trained."""
    statements = _modes(source, "train")
    if statements and _has_modes(source):
        yield Change(source.replaced(*((s.value.func, f"{receiver(s.value)}.eval") for s in statements)))  # type: ignore[attr-defined, arg-type]
