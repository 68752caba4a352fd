"""Faults of the model, its parameters and what the optimizer holds of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from benchmarks.mutants.mutators.registered import mutator
from benchmarks.mutants.source import Change, Source, keyword, last_name, number

_ACTIVATIONS = ("relu", "gelu", "tanh", "silu", "leaky_relu", "elu")
_LAYERS = ("ReLU", "GELU", "Tanh", "SiLU", "LeakyReLU", "ELU")


@mutator("C15")
def activations_removed(source: Source) -> Iterator[Change]:
    """No activation is left between the layers."""
    edits: list[tuple[ast.AST, str]] = []
    inside: set[ast.AST] = set()
    for call in source.calls(*_ACTIVATIONS):
        if call.args and call not in inside and not any(c in inside for c in ast.walk(call)):
            nested = [
                c for c in ast.walk(call.args[0]) if isinstance(c, ast.Call) and last_name(c.func) in _ACTIVATIONS
            ]
            if nested:
                return
            edits.append((call, source.code(call.args[0])))
    layers = [
        c for c in source.calls(*_LAYERS) if isinstance(source.parents[c], ast.Call | ast.List | ast.Tuple | ast.Assign)
    ]
    edits += [(c, f"{ast.unparse(c.func).rpartition('.')[0]}.Identity()".lstrip(".")) for c in layers]
    others = {
        "LSTM",
        "GRU",
        "RNN",
        "sigmoid",
        "softmax",
        "TransformerEncoderLayer",
        "MultiheadAttention",
        "MaxPool2d",
        "max_pool2d",
    }
    if edits and not any(True for _ in source.calls(*others)):
        made = frozenset(s.lineno for s in source.models().values())
        yield Change(source.replaced(*edits), made | source.lines_of("Linear", "Conv2d", "Conv1d", "Sequential"))


@mutator("P35 S05")
def dropout_too_strong(source: Source) -> Iterator[Change]:
    """Nearly everything is dropped."""
    for call in source.calls("Dropout", "dropout"):
        node = keyword(call, "p").value if keyword(call, "p") else call.args[-1] if call.args else None  # type: ignore[union-attr]
        if number(node):
            yield Change(source.replaced((node, "0.95")), frozenset({call.lineno}))  # type: ignore[arg-type]


def _after_model(source: Source, *lines: str) -> Iterator[Change]:
    models = source.models()
    if len(models) == 1:
        name, s = next(iter(models.items()))
        if source.alone(s):
            yield Change(source.inserted(s, *(line.format(name) for line in lines)), frozenset({s.lineno}))


@mutator("C10")
def weights_all_equal(source: Source) -> Iterator[Change]:
    """Every weight starts with the same value."""
    yield from _after_model(source, "for weight in {}.parameters():", "    torch.nn.init.constant_(weight, 0.05)")


@mutator("C10")
def weights_zero(source: Source) -> Iterator[Change]:
    """Every matrix starts with zeros."""
    yield from _after_model(
        source, "for weight in {}.parameters():", "    if weight.dim() > 1:", "        torch.nn.init.zeros_(weight)"
    )


@mutator("C09 L01 C07")
def weights_too_large(source: Source) -> Iterator[Change]:
    """Weights start far too large."""
    yield from _after_model(
        source,
        "for weight in {}.parameters():",
        "    if weight.dim() > 1:",
        "        torch.nn.init.normal_(weight, std=1.0)",
    )


@mutator("C09 C07")
def weights_too_small(source: Source) -> Iterator[Change]:
    """Weights start far too small."""
    yield from _after_model(
        source,
        "for weight in {}.parameters():",
        "    if weight.dim() > 1:",
        "        torch.nn.init.normal_(weight, std=1e-4)",
    )


@mutator("P11")
def head_frozen(source: Source) -> Iterator[Change]:
    """The last layer, which is new, does not learn."""
    for name, s in source.models().items():
        if len(source.models()) == 1 and source.alone(s):
            text = source.inserted(
                s, f"for weight in list({name}.parameters())[-2:]:", "    weight.requires_grad = False"
            )
            yield Change(text, frozenset({s.lineno}))


@mutator("P11")
def body_frozen(source: Source) -> Iterator[Change]:
    """All but the last layer is frozen, and random."""
    for name, s in source.models().items():
        if len(source.models()) == 1 and source.alone(s):
            text = source.inserted(
                s, f"for weight in list({name}.parameters())[:-2]:", "    weight.requires_grad = False"
            )
            yield Change(text, frozenset({s.lineno}))


def _parameters_of(source: Source) -> list[tuple[ast.Call, str]]:
    """The one `model.parameters()` of the optimizer, and the model's code."""
    found = []
    for call in source.optimizers():
        first = call.args[0] if call.args else None
        if isinstance(first, ast.Call) and last_name(first.func) == "parameters":
            found.append((first, ast.unparse(first.func.value)))  # type: ignore[attr-defined]
    return found


@mutator("P08")
def optimizer_holds_the_last_layer(source: Source) -> Iterator[Change]:
    """The optimizer holds the last layer only."""
    found = _parameters_of(source)
    if len(found) == 1:
        yield Change(source.replaced((found[0][0], f"list({found[0][1]}.parameters())[-2:]")))


@mutator("P08")
def optimizer_misses_the_last_layer(source: Source) -> Iterator[Change]:
    """The optimizer holds all but the last layer."""
    found = _parameters_of(source)
    if len(found) == 1:
        yield Change(source.replaced((found[0][0], f"list({found[0][1]}.parameters())[:-2]")))


@mutator("P10 P08")
def optimizer_of_a_copy(source: Source) -> Iterator[Change]:
    """The optimizer holds the parameters of another model of the same kind."""
    found = _parameters_of(source)
    if len(found) == 1:
        call, name = found[0]
        yield Change(source.replaced((call, f'__import__("copy").deepcopy({name}).parameters()')))


@mutator("P10")
def model_built_again(source: Source) -> Iterator[Change]:
    """After the optimizer was built, the model is built anew."""
    found = _parameters_of(source)
    for name, s in source.models().items():
        if (
            len(found) == 1
            and found[0][1] == name
            and isinstance(s.targets[0], ast.Name)
            and "\n" not in source.code(s)
        ):
            held = source.statement(found[0][0])
            if held in source.block(s) and source.alone(held) and held.lineno > s.lineno:
                yield Change(source.inserted(held, source.code(s)), frozenset({held.lineno, s.lineno}))


@mutator("P08")
def list_for_module_list(source: Source) -> Iterator[Change]:
    """Layers stand in a plain list."""
    for call in source.calls("ModuleList"):
        if len(call.args) == 1:
            yield Change(source.replaced((call, f"list({source.code(call.args[0])})")), source.lines_of(*_OPT))


_OPT = ("SGD", "Adam", "AdamW", "RMSprop")


@mutator("C32 C33 C03 L06")
def reshape_for_transpose(source: Source) -> Iterator[Change]:
    """A reshape stands where axes were to be moved."""
    for call in source.calls("transpose", "permute"):
        if isinstance(call.func, ast.Attribute) and call.args and not call.keywords:
            axes = [number(a) for a in call.args]
            if None in axes or min(axes) < 0 or ast.unparse(call.func.value) in ("torch", "np"):  # type: ignore[type-var, operator]
                continue
            inner = source.code(call.func.value)
            order = [int(a) for a in axes if a is not None]
            form = f"(lambda t: t.reshape([t.transpose({order[0]}, {order[1]}).shape[i] for i in range(t.dim())]))"
            if call.func.attr == "permute":
                form = f"(lambda t: t.reshape([t.shape[i] for i in {tuple(order)}]))"
            if source.around(call, ast.FunctionDef):
                yield Change(source.replaced((call, f"{form}({inner})")))


@mutator("C04")
def causal_mask_removed(source: Source) -> Iterator[Change]:
    """Positions see those that come later."""
    for call in source.calls("scaled_dot_product_attention"):
        given = keyword(call, "is_causal")
        if given:
            yield Change(source.replaced((given.value, "False")), frozenset({call.lineno}))
    if "causal" in source.text or "triu" in source.text or "tril" in source.text:
        for masked in (c for c in source.all(ast.Call) if isinstance(c, ast.Call)):
            given = keyword(masked, "mask") or keyword(masked, "attn_mask")
            if given and isinstance(given.value, ast.Name | ast.Attribute | ast.Call):
                yield Change(source.replaced((given.value, "None")), frozenset({masked.lineno}))
        for call in source.calls("masked_fill"):
            if isinstance(call.func, ast.Attribute):
                yield Change(source.replaced((call, source.code(call.func.value))))


@mutator("C03 C33 C32 C23")
def batch_first_forgotten(source: Source) -> Iterator[Change]:
    """The recurrent layer takes the examples for time steps."""
    for call in source.calls("LSTM", "GRU", "RNN", "MultiheadAttention", "TransformerEncoderLayer"):
        given = keyword(call, "batch_first")
        if given and ast.unparse(given.value) == "True":
            yield Change(source.replaced((given.value, "False")), frozenset({call.lineno}))


@mutator("C34")
def norm_momentum_inverted(source: Source) -> Iterator[Change]:
    """The running statistics are those of the last batch."""
    edits = [
        (c.args[0], f"{source.code(c.args[0])}, momentum=0.99")
        for c in source.calls("BatchNorm1d", "BatchNorm2d")
        if c.args and not keyword(c, "momentum")
    ]
    if edits:
        yield Change(source.replaced(*edits))


@mutator("C07 C09")
def saturating_activations(source: Source) -> Iterator[Change]:
    """Hidden layers have sigmoids."""
    edits: list[tuple[ast.AST, str]] = []
    for call in source.calls("ReLU", "GELU", "SiLU", "Tanh"):
        if isinstance(source.parents[call], ast.Call | ast.List):
            edits.append((call.func, f"{ast.unparse(call.func).rpartition('.')[0]}.Sigmoid".lstrip(".")))
    if len(edits) >= 3:
        yield Change(source.replaced(*edits))
