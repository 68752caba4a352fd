"""Patches of layers, of how they are connected, and of the steps that train them."""

from __future__ import annotations

import re
from typing import Final

from flightcheck.lab.changed_lines import (
    connected,
    loaded_late,
    over_classes,
    renamed,
    rewritten,
    with_momentum,
    without_activation,
)
from flightcheck.lab.diffs.asked import Asked, Rules
from flightcheck.lab.source_edits import (
    at_their_ends,
    with_axes_moved,
    with_causal_mask,
    with_option,
)

RULES: Final = Rules()
RULES.in_words("carry-state", "the same with the state of the step before; zeros once, before the loop")


# -- layers and connections -------------------------------------------------------------------------------------------


@RULES.of("drop-module")
def _drop_module(asked: Asked) -> str | None:
    return without_activation(asked.code, asked.value) if asked.code else None


@RULES.of("swap-activation")
def _swap_activation(asked: Asked) -> str | None:
    if not asked.code:
        return None
    if asked.value.startswith("softmax@"):
        relu = re.sub(r"\b(nn\.)?Softmax\([^()]*\)", "nn.ReLU()", asked.code)
        return asked.rewritten(relu, "the same with relu in the place of this softmax")
    return asked.rewritten(re.sub(r"\b(nn\.|torch\.|F\.)?([Ss]igmoid|[Tt]anh|[Ss]oftsign)\b", _relu, asked.code))


def _relu(match: re.Match[str]) -> str:
    name = "ReLU" if match.group(2)[0].isupper() else "relu"
    return f"{match.group(1) or ''}{name}"


@RULES.of("keep-graph")
def _keep_graph(asked: Asked) -> str | None:
    cut = str(asked.found.get("cut") or asked.found.get("operation") or "")
    return connected(asked.line, asked.code, cut) if asked.code else None


@RULES.of("keep-modules")
def _keep_modules(asked: Asked) -> str | None:
    told = "the same with a layer that __init__ makes once, before the optimizer is built"
    return asked.instead(told) if asked.code else None


@RULES.of("reinit")
def _reinit(asked: Asked) -> str | None:
    if asked.value == "tables" and "tables" in asked.found:
        tables = asked.found["tables"]
        return "\n".join(f"+ nn.init.normal_({t}.weight, std={t}.embedding_dim ** -0.5)" for t in tables)
    return None


@RULES.of("residual")
def _residual(asked: Asked) -> str:
    return f"+ out = out + {asked.found['name']}  # before {asked.found['class']} returns"


@RULES.of("bypass")
def _bypass(asked: Asked) -> str:
    return asked.instead(f"without {asked.value.rpartition('.')[2]}")


@RULES.of("call-instead")
def _call_instead(asked: Asked) -> str | None:
    if not asked.code:
        return None
    one, other = (str(asked.found[k]) for k in ("called", "never"))
    before, found, after = asked.code.rpartition(f".{one}(")
    return asked.rewritten(f"{before}.{other}({after}") if found else ""


@RULES.of("dropout")
def _dropout(asked: Asked) -> str | None:
    if asked.value.endswith("=eval"):
        return "+ # before this line: if not self.training, return the input as it is"
    if not asked.code:
        return None
    gone = asked.value.endswith("=0")
    return asked.instead("without this dropout" if gone else f"the same with p={asked.value.rpartition('=')[2]}")


@RULES.of("batchnorm")
def _batchnorm(asked: Asked) -> str:
    if asked.value.startswith("eps="):
        return asked.instead("the same with eps=1e-5: the second argument is no momentum")
    if asked.value == "nearest":
        return asked.instead(f"the same once for each of the {asked.found['passes']} kinds of batches")
    if asked.value == "each":
        return asked.instead(f"the same once for each of the {asked.found['uses']} places that call it")
    return with_momentum(asked.line, asked.code, asked.finding)


# -- axes, sequences and masks ----------------------------------------------------------------------------------------


@RULES.of("axes")
def _axes(asked: Asked) -> str | None:
    rule, is_rule, value = asked.value.partition("=")
    if is_rule and rule == "softmax":
        return over_classes(asked.line, asked.code, value.partition(":")[0])
    if is_rule and rule == "target":
        return asked.instead(f"the same of the target{asked.found['moved']}")
    if asked.value.startswith("stream:"):
        rows = re.sub(r"\.(view|reshape)\(\(?([^,()]+),\s*([^,()]+)\)?\)", r".\1(\3, \2).t()", asked.code)
        return asked.rewritten(rows, "the same with the examples first, and then .t()")
    if asked.code:
        return asked.rewritten(with_axes_moved(asked.code, asked.found["before"], asked.found["after"]))
    return None


@RULES.of("batch-first")
def _batch_first(asked: Asked) -> str | None:
    told = "the same, batch_first=True"
    return asked.rewritten(with_option(asked.code, "batch_first", "True"), told) if asked.code else None


@RULES.of("place")
def _place(asked: Asked) -> str:
    cut = re.sub(r"\[\s*:\s*(\w+)\.(?:size\(0\)|shape\[0\])\s*\]", r"[: \1.size(1)].transpose(0, 1)", asked.code)
    return asked.rewritten(cut, "the same, cut by the length: [: x.size(1)].transpose(0, 1)")


@RULES.of("last-step")
def _last_step(asked: Asked) -> str | None:
    ends = at_their_ends(asked.code)
    return asked.rewritten(ends) if ends else None


@RULES.of("attention-scale")
def _attention_scale(asked: Asked) -> str:
    return asked.instead(f"the same with scores / math.sqrt(d), d = {asked.found['width']}")


@RULES.of("extreme")
def _extreme(asked: Asked) -> str:
    beyond = "inf" if asked.found["operation"] == "min" else "-inf"
    return asked.instead(f"the same with .masked_fill(~mask, float('{beyond}')) in the place of the product")


@RULES.of("mask")
def _mask(asked: Asked) -> str:
    if asked.value == "causal":
        causal = with_causal_mask(asked.code)
        if causal != asked.code:
            return asked.rewritten(causal)
        return asked.instead("the same with a causal mask: nn.Transformer.generate_square_subsequent_mask(length)")
    if asked.value.startswith("fill:"):
        filled = re.sub(
            r"(masked_fill_?\(.*,\s*)[^,()]+\)|(\]\s*=\s*)[^=]+$",
            lambda m: f"{m[1] or m[2]}-1e9" + ")" * bool(m[1]),
            asked.code,
        )
        return asked.rewritten(filled)
    return asked.instead("the same with the mask inverted (~mask)")


# -- optimizers and steps ---------------------------------------------------------------------------------------------


@RULES.of("zero-grad")
def _zero_grad(asked: Asked) -> str | None:
    if asked.value or "without_gradient" not in asked.found:
        return None
    return asked.instead(f"the same line {'after' if '.step(' in asked.code else 'before'} loss.backward()")


@RULES.of("accumulate")
def _accumulate(asked: Asked) -> str:
    if "scale" in asked.found:
        scaled = re.sub(r"\b([A-Za-z_][\w.]*)\.backward\(", r"scaler.scale(\1).backward(", asked.code)
        scaled = re.sub(r"\b([A-Za-z_][\w.]*)\.step\(\)", r"scaler.step(\1)", scaled)
        return asked.rewritten(scaled, "the same through the scaler")
    factor = float(asked.value[1:])
    by = f"/ {1 / factor:g}" if factor < 1 else f"* {factor:g}"
    called = re.search(r"\b([A-Za-z_][\w.]*)\.backward\(", asked.code)
    new = asked.code.replace(f"{called[1]}.backward(", f"({called[1]} {by}).backward(", 1) if called else asked.code
    return asked.rewritten(new) if new != asked.code else f"+ loss = loss {by}  # before backward"


@RULES.of("add-parameters")
def _add_parameters(asked: Asked) -> str | None:
    if "unregistered" in asked.found and asked.code:
        return asked.instead("the same with nn.Parameter(…) around the whole value, in an attribute of the module")
    if asked.value == "thawed":
        return "+ optimizer.add_param_group({'params': [...]})  # where they are thawed"
    told = f"the same with the parameters of {asked.finding.module}"
    return asked.instead(told) if asked.value and asked.code else None


@RULES.of("options")
def _options(asked: Asked) -> str | None:
    return asked.instead(f"the same with {asked.found.get('options')} by name") if asked.code else None


@RULES.of("keep-state")
def _keep_state(asked: Asked) -> str:
    if "drops" in asked.found:
        return "+ # in the loop without what clears or replaces optimizer.state"
    return asked.instead("the same line once, before the loop")


@RULES.of("epsilon")
def _epsilon(asked: Asked) -> str | None:
    return asked.rewritten(re.sub(r"\beps\s*=\s*[^,)]+", f"eps={asked.value}", asked.code)) if asked.code else None


@RULES.of("load")
def _load(asked: Asked) -> str | None:
    if asked.value == "buffers":
        return None
    if asked.value == "turned":
        swapped = re.sub(r"\b([\w.]+)\.load_state_dict\(([\w.]+)\.state_dict\(\)", _exchanged, asked.code)
        return asked.rewritten(swapped, "the same the other way round")
    if asked.value == "trained" and not {"left", "rebound"}.isdisjoint(asked.found):
        return "+ average.load_state_dict(model.state_dict())  # before each evaluation: an average is near to them"
    if asked.value == "trained":
        return asked.instead("the same with the weights of the model that was trained")
    return loaded_late(asked.finding, asked.code) if asked.value == "late" else renamed(asked.finding)


def _exchanged(match: re.Match[str]) -> str:
    return f"{match[2]}.load_state_dict({match[1]}.state_dict()"


@RULES.of("follow")
def _follow(asked: Asked) -> str:
    named = re.match(r"(?:async\s+)?def\s+(\w+)", asked.code)
    return f"+ {named[1] if named else 'update'}(…)  # once in {asked.value} steps"


@RULES.of("source")
def _source(asked: Asked) -> str:
    return rewritten(asked.patch, asked.finding)
