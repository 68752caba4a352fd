"""Patches of the data, of losses, and of what evaluations do and count."""

from __future__ import annotations

import re
from typing import Final

from flightcheck.lab.changed_lines import weighted_term
from flightcheck.lab.diffs.added_lines import ADDED, WEIGHTED
from flightcheck.lab.diffs.asked import Asked, Rules
from flightcheck.lab.source_edits import (
    one_apart,
    shifted_once,
    with_clamped,
    with_one_shape,
    with_option,
    without_call,
)

_ACTIVATED: Final = r"(?:torch\.|F\.)?\b(?:sigmoid|relu|tanh)\((?P<given>[^()]*(?:\([^()]*\)[^()]*)*)\)"
_OTHER: Final = {"zeros": "ones", "ones": "zeros"}

RULES: Final = Rules()
RULES.in_words("picks", "the same rows of both: x[rows], y[rows]")
RULES.in_words("edges", "the same, with the number of nodes before it added to the edges of each graph")
RULES.in_words("weights-held", "the same minus the logarithm of each weight: exp(-s) * loss + s")
RULES.in_words("weights-turned", "the same with the inverse of each weight: exp(-s) * loss + s")
RULES.in_words("episode-end", "the same with (1 - done) times the value of the next state")
RULES.in_words("reseed", "the same line once, at the start of the script")


# -- data -------------------------------------------------------------------------------------------------------------


@RULES.of("targets")
def _targets(asked: Asked) -> str | None:
    if asked.value.startswith("opposite="):
        turned = re.sub(r"\b(zeros|ones)(_like)?\(", lambda m: _OTHER[m[1]] + (m[2] or "") + "(", asked.code)
        return asked.rewritten(turned, "the same with the other label: 1 - target")
    if asked.value.startswith("sorted="):
        return "+ y = y[order]  # the targets in the order of the inputs"
    if "=" in asked.value:
        return _with_other_targets(asked)
    if asked.value == "next" and (apart := one_apart(asked.code)):
        return asked.rewritten(apart)
    if asked.value == "unshift" and (once := shifted_once(asked.code)):
        return asked.rewritten(once)
    return None


def _with_other_targets(asked: Asked) -> str:
    rule, _, value = asked.value.partition("=")
    if rule == "unit":
        low, high = (float(v) for v in value.split(","))
        shifted = f"(target - {low:g})" if low > 0 else f"(target + {-low:g})" if low < 0 else "target"
        return f"+ target = {shifted} / {high - low:g}" if high - low != 1 else f"+ target = {shifted[1:-1]}"
    if rule == "balanced":
        if "sampler" in asked.found:
            return "+ # without class weights in the loss: the sampler balances already"
        return WEIGHTED
    if re.search(r"ignore_index\s*=", asked.code):
        return f"- {asked.code}\n+ " + re.sub(r"ignore_index\s*=\s*[^,)]+", f"ignore_index={value}", asked.code)
    made = re.sub(r"(CrossEntropyLoss|NLLLoss)\(\s*", rf"\1(ignore_index={value}, ", asked.code).replace(", )", ")")
    return f"- {asked.code}\n+ {made}" if made != asked.code else f"+ ignore_index={value}  # in the loss"


@RULES.of("shuffle")
def _shuffle(asked: Asked) -> str | None:
    if asked.value == "collated":
        return "+ # in the same function, before anything is taken apart: sort the examples themselves"
    if asked.value == "together" and asked.found["one_loader"]:
        return asked.instead("the same with inputs and targets of one batch: for x, y in loader")
    return None


@RULES.of("sampler")
def _sampler(asked: Asked) -> str | None:
    if asked.value == "balanced":
        return "+ weights = (1.0 / torch.bincount(labels))[labels]  # for the sampler; labels in the dataset's order"
    if asked.code:
        return asked.rewritten(re.sub(r"(WeightedRandomSampler\((?:weights=)?\w+)(?=,)", r"\1[labels]", asked.code))
    return None


@RULES.of("inverse-order")
def _inverse_order(asked: Asked) -> str:
    inverse = re.sub(r"\[(\w+)\](?=[^\[\]]*$)", r"[torch.argsort(\1)]", asked.code)
    return asked.rewritten(inverse, "the same with torch.argsort(order) in the place of the order")


@RULES.of("draws")
def _draws(asked: Asked) -> str:
    drawn = re.match(r"(\w+)\s*=", asked.code)
    of = drawn[1] if drawn else f"the draw of line {asked.line.line if asked.line else '?'}"
    return f"- {asked.found['other_code']}\n+ # the same with {of} in the place of a second draw"


@RULES.of("noise-level")
def _noise_level(asked: Asked) -> str:
    return asked.instead(f"{asked.finding.fix[0].lower()}{asked.finding.fix[1:]}")


# -- the loss ---------------------------------------------------------------------------------------------------------


@RULES.of("loss")
def _loss(asked: Asked) -> str | None:
    code, value = asked.code, asked.value
    if value == "roles" and code:
        exchanged = "positive and negative" if asked.found["triplets"] else "the signs of the target"
        return asked.instead(f"the same with {exchanged} exchanged")
    if "=" in value:
        return _with_other_targets(asked)
    if value == "log_softmax" and code:
        logarithm = re.sub(r"(?<!log_)softmax\(", "log_softmax(", re.sub(r"(?<!Log)\bSoftmax\(", "LogSoftmax(", code))
        return asked.rewritten(logarithm, "the same of F.log_softmax(scores, dim=-1)")
    if value.startswith("all:"):
        name = asked.found.get("name", "loss")
        return asked.rewritten(re.sub(rf"^{re.escape(str(name))}\s*=\s*", f"{name} = {name} + ", code))
    if value.startswith("none:"):
        return "+ reduction='none'  # in the loss, whose values are multiplied and averaged then"
    if value.startswith(("softmax:", "sigmoid:")):
        rule, axis = ("softmax", ", dim=-1") if value.startswith("softmax:") else ("sigmoid", "")
        other = re.sub(_ACTIVATED, rf"torch.{rule}(\g<given>{axis})", code)
        return asked.rewritten(other, f"the same of torch.{rule}(scores{axis})")
    if value == "several":
        binary = re.sub(r"\bCrossEntropyLoss\b", "BCEWithLogitsLoss", code)
        binary = re.sub(r"\bcross_entropy\(", "binary_cross_entropy_with_logits(", binary)
        return asked.rewritten(binary, "the same with nn.BCEWithLogitsLoss() as the loss")
    if code and str(asked.patch) not in ADDED:
        return asked.rewritten(re.sub(r"\b(nn\.)?NLLLoss\b", "nn.CrossEntropyLoss", code))
    return None


@RULES.of("align-shapes")
def _align_shapes(asked: Asked) -> str | None:
    aligned = with_one_shape(asked.code, asked.finding.fix)
    return asked.rewritten(aligned) if aligned != asked.code else None


@RULES.of("temperature")
def _temperature(asked: Asked) -> str:
    divided = re.sub(r"(?<!\*)\*(?!\*)(\s*[A-Za-z_][\w.]*\s*)(?=$|[),;])", r"/\1", asked.code)
    return asked.rewritten(divided, "the same divided by this factor")


@RULES.of("clamp")
def _clamp(asked: Asked) -> str | None:
    return asked.rewritten(with_clamped(asked.code, asked.value)) if asked.code else None


@RULES.of("term")
def _term(asked: Asked) -> str:
    return weighted_term(asked.finding, asked.value.rpartition(" x")[2])


# -- evaluations ------------------------------------------------------------------------------------------------------


@RULES.of("mode")
def _mode(asked: Asked) -> str | None:
    modes = asked.found.get("modes", ())
    if asked.value == "batchnorm" and asked.found.get("eval_line") and asked.code:
        return f"- {asked.code}"
    if "functional dropout" in modes:
        return "+ training=self.training  # in the call of dropout"
    if "unheld dropout" in modes:
        return "+ self.drop = nn.Dropout(p)  # once, in __init__, and here self.drop(...)"
    return asked.instead("the same line, behind the loop over the batches") if "flipped" in modes else None


@RULES.of("visits")
def _visits(asked: Asked) -> str:
    return asked.rewritten(with_option(asked.code, "shuffle", "False"), "the same, shuffle=False")


@RULES.of("metric")
def _metric(asked: Asked) -> str:
    """The line of a metric that counts what its number is called."""
    how, code = asked.value.partition(":")[0].partition("=")[0], asked.code
    if how == "align":
        return asked.instead("the same with both in one shape")
    if how == "cut":
        cut = re.sub(r"([<>]=?\s*)(0?\.\d+)", r"\g<1>0.0", code)
        cut = re.sub(r"\b(?!torch\b)(\w+)\.round\(\)", r"\1.sigmoid().round()", cut)
        return asked.rewritten(re.sub(r"\bround\((\w+)\)", r"round(torch.sigmoid(\1))", cut))
    if how == "once":
        return asked.rewritten(without_call(code, "sigmoid") or code, "the same without the sigmoid")
    if how == "exchange":
        exchanged = re.sub(r"(_score|_error)\((\w+), (\w+)", r"\1(\3, \2", code)
        return asked.rewritten(exchanged, "the same with the targets first")
    if how == "scale":
        return asked.instead("the same with prediction * target_std + target_mean, as the targets were scaled")
    if how == "nearest":
        smallest = re.sub(
            r"\.arg(max)\(", ".argmin(", re.sub(r"(\btopk\([^()]*(?:\([^()]*\)[^()]*)*)\)", r"\1, largest=False)", code)
        )
        return asked.rewritten(smallest, "the same of the smallest distances")
    if how == "sign":
        return asked.instead("the same with (logits > 0) in the place of the class chosen out of one")
    positions = re.sub(r"(\bmax\(.*\))\[0\]", r"\1[1]", code)
    positions = re.sub(r"^(\w+), (_\w*)(\s*=.*\bmax\()", r"\2, \1\3", positions)
    return asked.rewritten(positions, "the same of scores.argmax(1)")
