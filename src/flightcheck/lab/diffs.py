"""A patch as a user would make it by hand: the line as it is, and as it would be."""

from __future__ import annotations

import linecache
import re
from collections.abc import Sequence
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.lab.changed_lines import (
    connected,
    loaded_late,
    over_classes,
    renamed,
    replaced,
    rewritten,
    weighted_term,
    with_momentum,
    with_rate,
    without_activation,
)
from flightcheck.lab.one_order import with_one_order
from flightcheck.lab.source_edits import (
    at_their_ends,
    one_apart,
    shifted_once,
    with_axes_moved,
    with_causal_mask,
    with_clamped,
    with_one_shape,
    with_option,
    without_call,
)
from flightcheck.patch import Patch
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

WEIGHTED: Final = "+ weight=counts.sum() / (len(counts) * counts)  # in the loss; as pos_weight: negatives / positives"
"""Weights of classes."""
_ADDED: Final[dict[str, str]] = {
    "zero-grad": "optimizer.zero_grad()  # before loss.backward(), or after optimizer.step()",
    "zero-grad:evaluation": "optimizer.zero_grad()  # once, before the loop over the parts of the loss",
    "zero-grad:closure": "optimizer.zero_grad()  # the first line of the closure",
    "zero-grad:by-hand": "w.grad = None  # for each w, after its update",
    "step": "optimizer.step()  # after loss.backward()",
    "old-graphs": "loss.backward()  # of this batch alone; total += loss.item() for what is printed",
    "shuffle:together": "DataLoader(TensorDataset(inputs, targets), shuffle=True)  # one loader of pairs, not two",
    "shuffle": "shuffle=True  # in the DataLoader of the training examples",
    "align-shapes": "prediction = prediction.reshape(target.shape)  # before the two are compared",
    "inputs:standardize": "x = (x - train_mean) / train_std  # per feature, with the training set's statistics",
    "targets:standardize": "y = (y - y_train.mean()) / y_train.std()  # and undo it where predictions are used",
    "targets:shift-1": "target = target - 1",
    "loader:restored": "x = x.clone()  # before it is changed in place; x.copy() of an array",
    "loader:continue": "for batch in loader:  # in the place of next(iter(loader)) in every step",
    "targets:unit": "target = target / largest  # or (target + 1) / 2 for -1 and 1",
    "targets:signs": "target = 2 * target - 1",
    "targets:finite": "keep = target.isfinite()  # and the loss of prediction[keep], target[keep] only",
    "inputs:finite": "x = torch.where(x.isfinite(), x, feature_mean)  # where the data are prepared",
    "inputs:as-training": "x = transform(x)  # the same one, fitted to the training examples, in both",
    "inputs:turned": "img = img[..., ::-1]  # where the images of the evaluation are read",
    "inputs:x255": "x = x * 255  # or one of the two divisions by 255 left out",
    "last-step": "last = out[torch.arange(len(out)), lengths - 1]  # with batches first",
    "targets:next": "inputs, targets = tokens[:, :-1], tokens[:, 1:]  # the target is the token after the one given",
    "targets:unshift": "y = tokens[:, 1:]  # beside x = tokens[:, :-1]: one position ahead, not two",
    "loss:mse_loss": "nn.MSELoss()  # of prediction.reshape(target.shape) and target",
    "loss:transpose": "out.movedim(1, -1).reshape(-1, classes)  # the classes last, before rows are made of positions",
    "loss:negate": "loss = -loss  # before backward",
    "loss:both": "+ (1 - target) * torch.log(1 - p)  # in the sum, before its mean",
    "loss:rate": "log_input=False  # in the Poisson loss: its input is the rate",
    "loss:soft_margin": "nn.SoftMarginLoss()  # for scores, with labels -1 and 1",
    "scheduler:batch": "scheduler.step()  # after each optimizer.step(), and not once per epoch",
    "load:buffers": "for ours, theirs in zip(average.buffers(), model.buffers()): ours.copy_(theirs)",
    "mode:eval": "model.eval()  # before the evaluation, and model.train() after it",
    "mode:batchnorm": "# BatchNorm stays in train mode in the training steps",
    "mode:train": "model.train()  # before the training steps",
    "insert-activation:relu": "nn.ReLU()  # after each hidden layer",
    "insert-norm:layer": "nn.LayerNorm(features)  # after each hidden layer",
    "unscale-first": "scaler.unscale_(optimizer)  # before the gradients are clipped",
    "reinit:default": "# leave the weights as the layers draw them",
    "reinit:never": "# the same line once, before the loop over the epochs",
    "reinit:kaiming": "nn.init.kaiming_uniform_(layer.weight, nonlinearity='relu')  # for each layer, biases zero",
    "reinit:tables": "nn.init.normal_(table.weight, std=table.embedding_dim ** -0.5)  # for each embedding",
    "reinit:xavier": "nn.init.xavier_uniform_(layer.weight)  # for each layer, biases zero",
    "head": "nn.Linear(features, {value})  # as the last layer, and nn.CrossEntropyLoss()",
    "add-parameters": "optimizer.add_param_group({'params': [p for p in model.parameters() if p not in held]})",
    "unfreeze": "p.requires_grad_(True)  # for each parameter p of {value}, before the optimizer is built",
    "regularization:weight_decay": "weight_decay=0.0",
    "regularization:label_smoothing": "label_smoothing=0.0",
    "clip": "torch.nn.utils.clip_grad_norm_(model.parameters(), {value})",
}
"""Patches that add a line: by their text, or by their kind."""
_OTHER: Final = {"zeros": "ones", "ones": "zeros"}


def diff_of(patches: Sequence[Patch], finding: Finding, run: Run) -> str:
    """Lines with ``-`` and ``+`` for all patches together; empty for what has no simple form."""
    rules = [p.value.split(":")[0] for p in patches if p.kind == "source"]
    if rules == ["order", "same-order"] and finding.location is not None:
        lines = [int(p.value.rpartition(":")[2]) for p in patches]
        return with_one_order("".join(linecache.getlines(finding.location.file)), *lines)
    return "\n".join(filter(None, (_one(p, finding, run) for p in patches)))


def _one(patch: Patch, finding: Finding, run: Run) -> str:
    if patch.kind == "lr":
        return with_rate(patch, run)
    line = finding.location
    code = line.code if line is not None else ""
    if patch.kind == "drop-module" and code:
        return without_activation(code, patch.value)
    if patch.kind == "swap-activation" and code and patch.value.startswith("softmax@"):
        relu = re.sub(r"\b(nn\.)?Softmax\([^()]*\)", "nn.ReLU()", code)
        return replaced(line, relu) or f"- {code}\n+ # the same with relu in the place of this softmax"
    if patch.kind == "swap-activation" and code:
        return replaced(line, re.sub(r"\b(nn\.|torch\.|F\.)?([Ss]igmoid|[Tt]anh|[Ss]oftsign)\b", _relu, code))
    if patch.kind == "keep-graph" and code:
        return connected(line, code, str(finding.evidence.get("cut") or finding.evidence.get("operation") or ""))
    if patch.kind == "zero-grad" and not patch.value and "without_gradient" in finding.evidence:
        return f"- {code}\n+ # the same line {'after' if '.step(' in code else 'before'} loss.backward()"
    if str(patch) == "mode:batchnorm" and finding.evidence.get("eval_line") and code:
        return f"- {code}"
    if str(patch) == "reinit:tables" and "tables" in finding.evidence:
        tables = finding.evidence["tables"]
        return "\n".join(f"+ nn.init.normal_({t}.weight, std={t}.embedding_dim ** -0.5)" for t in tables)
    if str(patch) == "loss:roles" and code:
        exchanged = "positive and negative" if finding.evidence["triplets"] else "the signs of the target"
        return f"- {code}\n+ # the same with {exchanged} exchanged"
    if patch.kind == "add-parameters" and "unregistered" in finding.evidence and code:
        return f"- {code}\n+ # the same with nn.Parameter(…) around the whole value, in an attribute of the module"
    if str(patch) == "add-parameters:thawed":
        return "+ optimizer.add_param_group({'params': [...]})  # where they are thawed"
    if patch.kind == "add-parameters" and patch.value and code:
        return f"- {code}\n+ # the same with the parameters of {finding.module}"
    if patch.kind == "options" and code:
        return f"- {code}\n+ # the same with {finding.evidence.get('options')} by name"
    if patch.kind == "keep-modules" and code:
        return f"- {code}\n+ # the same with a layer that __init__ makes once, before the optimizer is built"
    if patch.kind == "mode" and "functional dropout" in finding.evidence.get("modes", ()):
        return "+ training=self.training  # in the call of dropout"
    if patch.kind == "mode" and "unheld dropout" in finding.evidence.get("modes", ()):
        return "+ self.drop = nn.Dropout(p)  # once, in __init__, and here self.drop(...)"
    if patch.kind == "mode" and "flipped" in finding.evidence.get("modes", ()):
        return f"- {code}\n+ # the same line, behind the loop over the batches"
    if str(patch) == "shuffle:together" and finding.evidence["one_loader"]:
        return f"- {code}\n+ # the same with inputs and targets of one batch: for x, y in loader"
    if patch.kind == "align-shapes" and (aligned := with_one_shape(code, finding.fix)) != code:
        return replaced(line, aligned)
    if str(patch) == "mask:causal" and (causal := with_causal_mask(code)) != code:
        return replaced(line, causal)
    if str(patch) == "mask:causal":
        return f"- {code}\n+ # the same with a causal mask: nn.Transformer.generate_square_subsequent_mask(length)"
    if patch.value.startswith("fill:"):
        filled = re.sub(
            r"(masked_fill_?\(.*,\s*)[^,()]+\)|(\]\s*=\s*)[^=]+$",
            lambda m: f"{m[1] or m[2]}-1e9" + ")" * bool(m[1]),
            code,
        )
        return replaced(line, filled)
    if patch.kind == "mask":
        return f"- {code}\n+ # the same with the mask inverted (~mask)"
    if patch.kind == "keep-state" and "drops" in finding.evidence:
        return "+ # in the loop without what clears or replaces optimizer.state"
    if patch.kind == "keep-state":
        return f"- {code}\n+ # the same line once, before the loop"
    if patch.kind == "reseed":
        return f"- {code}\n+ # the same line once, at the start of the script"
    if patch.kind == "clamp" and code:
        return replaced(line, with_clamped(code, patch.value))
    return _of_values(patch, finding, line, code)


def _of_values(patch: Patch, finding: Finding, line: Location | None, code: str) -> str:
    """Patches whose diff depends on their value or on what was measured; else the line that they add."""
    if patch.value.startswith("opposite="):
        turned = re.sub(r"\b(zeros|ones)(_like)?\(", lambda m: _OTHER[m[1]] + (m[2] or "") + "(", code)
        return replaced(line, turned) or f"- {code}\n+ # the same with the other label: 1 - target"
    if str(patch) == "shuffle:collated":
        return "+ # in the same function, before anything is taken apart: sort the examples themselves"
    if patch.value.startswith("sorted="):
        return "+ y = y[order]  # the targets in the order of the inputs"
    if patch.kind in ("targets", "loss") and "=" in patch.value:
        return _of_targets(patch, finding, code)
    if str(patch) == "sampler:balanced":
        return "+ weights = (1.0 / torch.bincount(labels))[labels]  # for the sampler; labels in the dataset's order"
    if patch.kind == "sampler" and code:
        return replaced(line, re.sub(r"(WeightedRandomSampler\((?:weights=)?\w+)(?=,)", r"\1[labels]", code))
    if patch.kind == "axes" and patch.value.startswith("softmax="):
        return over_classes(line, code, patch.value.partition("=")[2].partition(":")[0])
    if patch.kind == "axes" and patch.value.startswith("target="):
        return f"- {code}\n+ # the same of the target{finding.evidence['moved']}"
    if patch.kind == "axes" and patch.value.startswith("stream:"):
        rows = re.sub(r"\.(view|reshape)\(\(?([^,()]+),\s*([^,()]+)\)?\)", r".\1(\3, \2).t()", code)
        return replaced(line, rows) or f"- {code}\n+ # the same with the examples first, and then .t()"
    if patch.kind == "axes" and code:
        return replaced(line, with_axes_moved(code, finding.evidence["before"], finding.evidence["after"]))
    if str(patch) == "loss:log_softmax" and code:
        logarithm = re.sub(r"(?<!log_)softmax\(", "log_softmax(", re.sub(r"(?<!Log)\bSoftmax\(", "LogSoftmax(", code))
        return replaced(line, logarithm) or f"- {code}\n+ # the same of F.log_softmax(scores, dim=-1)"
    if patch.kind == "loss" and patch.value.startswith("all:"):
        name = finding.evidence.get("name", "loss")
        return replaced(line, re.sub(rf"^{re.escape(str(name))}\s*=\s*", f"{name} = {name} + ", code))
    if patch.kind == "loss" and patch.value.startswith("none:"):
        return "+ reduction='none'  # in the loss, whose values are multiplied and averaged then"
    if str(patch) == "loss:several":
        binary = re.sub(r"\bCrossEntropyLoss\b", "BCEWithLogitsLoss", code)
        binary = re.sub(r"\bcross_entropy\(", "binary_cross_entropy_with_logits(", binary)
        return replaced(line, binary) or f"- {code}\n+ # the same with nn.BCEWithLogitsLoss() as the loss"
    if patch.kind == "loss" and code and str(patch) not in _ADDED:
        return replaced(line, re.sub(r"\b(nn\.)?NLLLoss\b", "nn.CrossEntropyLoss", code))
    if patch.kind == "accumulate" and "scale" in finding.evidence:
        scaled = re.sub(r"\b([A-Za-z_][\w.]*)\.backward\(", r"scaler.scale(\1).backward(", code)
        scaled = re.sub(r"\b([A-Za-z_][\w.]*)\.step\(\)", r"scaler.step(\1)", scaled)
        return replaced(line, scaled) or f"- {code}\n+ # the same through the scaler"
    if patch.kind == "accumulate":
        factor = float(patch.value[1:])
        by = f"/ {1 / factor:g}" if factor < 1 else f"* {factor:g}"
        called = re.search(r"\b([A-Za-z_][\w.]*)\.backward\(", code)
        new = code.replace(f"{called[1]}.backward(", f"({called[1]} {by}).backward(", 1) if called else code
        return replaced(line, new) if new != code else f"+ loss = loss {by}  # before backward"
    if patch.kind == "batch-first" and code:
        return replaced(line, with_option(code, "batch_first", "True")) or f"- {code}\n+ # the same, batch_first=True"
    if patch.kind == "draws":
        drawn = re.match(r"(\w+)\s*=", code)
        of = drawn[1] if drawn else f"the draw of line {line.line if line else '?'}"
        return f"- {finding.evidence['other_code']}\n+ # the same with {of} in the place of a second draw"
    if patch.kind == "picks":
        return f"- {code}\n+ # the same rows of both: x[rows], y[rows]"
    if patch.kind == "edges":
        return f"- {code}\n+ # the same, with the number of nodes before it added to the edges of each graph"
    if patch.kind == "episode-end":
        return f"- {code}\n+ # the same with (1 - done) times the value of the next state"
    if patch.kind == "noise-level":
        return f"- {code}\n+ # {finding.fix[0].lower()}{finding.fix[1:]}"
    if patch.kind == "attention-scale":
        return f"- {code}\n+ # the same with scores / math.sqrt(d), d = {finding.evidence['width']}"
    if patch.kind == "temperature":
        divided = re.sub(r"(?<!\*)\*(?!\*)(\s*[A-Za-z_][\w.]*\s*)(?=$|[),;])", r"/\1", code)
        return replaced(line, divided) or f"- {code}\n+ # the same divided by this factor"
    if patch.kind in ("weights-held", "weights-turned"):
        how = (
            "minus the logarithm of each weight" if patch.kind == "weights-held" else "with the inverse of each weight"
        )
        return f"- {code}\n+ # the same {how}: exp(-s) * loss + s"
    if patch.kind == "extreme":
        beyond = "inf" if finding.evidence["operation"] == "min" else "-inf"
        return f"- {code}\n+ # the same with .masked_fill(~mask, float('{beyond}')) in the place of the product"
    if patch.kind == "place":
        cut = re.sub(r"\[\s*:\s*(\w+)\.(?:size\(0\)|shape\[0\])\s*\]", r"[: \1.size(1)].transpose(0, 1)", code)
        return replaced(line, cut) or f"- {code}\n+ # the same, cut by the length: [: x.size(1)].transpose(0, 1)"
    if patch.kind == "follow":
        named = re.match(r"(?:async\s+)?def\s+(\w+)", code)
        return f"+ {named[1] if named else 'update'}(…)  # once in {patch.value} steps"
    if patch.kind == "metric":
        return _counted(line, code, patch.value.partition(":")[0].partition("=")[0])
    return _of_what_was_found(patch, finding, line, code)


def _counted(line: Location | None, code: str, how: str) -> str:
    """The line of a metric that counts what its number is called."""
    if how == "align":
        return f"- {code}\n+ # the same with both in one shape"
    if how == "cut":
        cut = re.sub(r"([<>]=?\s*)(0?\.\d+)", r"\g<1>0.0", code)
        cut = re.sub(r"\b(?!torch\b)(\w+)\.round\(\)", r"\1.sigmoid().round()", cut)
        return replaced(line, re.sub(r"\bround\((\w+)\)", r"round(torch.sigmoid(\1))", cut))
    if how == "once":
        return replaced(line, without_call(code, "sigmoid") or code) or f"- {code}\n+ # the same without the sigmoid"
    if how == "exchange":
        exchanged = re.sub(r"(_score|_error)\((\w+), (\w+)", r"\1(\3, \2", code)
        return replaced(line, exchanged) or f"- {code}\n+ # the same with the targets first"
    if how == "scale":
        return f"- {code}\n+ # the same with prediction * target_std + target_mean, as the targets were scaled"
    if how == "nearest":
        smallest = re.sub(
            r"\.arg(max)\(", ".argmin(", re.sub(r"(\btopk\([^()]*(?:\([^()]*\)[^()]*)*)\)", r"\1, largest=False)", code)
        )
        return replaced(line, smallest) or f"- {code}\n+ # the same of the smallest distances"
    if how == "sign":
        return f"- {code}\n+ # the same with (logits > 0) in the place of the class chosen out of one"
    positions = re.sub(r"(\bmax\(.*\))\[0\]", r"\1[1]", code)
    positions = re.sub(r"^(\w+), (_\w*)(\s*=.*\bmax\()", r"\2, \1\3", positions)
    return replaced(line, positions) or f"- {code}\n+ # the same of scores.argmax(1)"


def _of_what_was_found(patch: Patch, finding: Finding, line: Location | None, code: str) -> str:
    """The rest of `_of_values`."""
    if patch.kind == "call-instead" and code:
        one, other = (str(finding.evidence[k]) for k in ("called", "never"))
        before, found, after = code.rpartition(f".{one}(")
        return replaced(line, f"{before}.{other}({after}") if found else ""
    if patch.kind == "carry-state":
        return f"- {code}\n+ # the same with the state of the step before; zeros once, before the loop"
    if patch.kind == "residual":
        return f"+ out = out + {finding.evidence['name']}  # before {finding.evidence['class']} returns"
    if patch.kind == "visits":
        return replaced(line, with_option(code, "shuffle", "False")) or f"- {code}\n+ # the same, shuffle=False"
    if patch.kind == "source":
        return rewritten(patch, finding)
    if patch.kind == "load":
        if patch.value == "buffers":
            return f"+ {_ADDED[str(patch)]}"
        if patch.value == "trained" and not {"left", "rebound"}.isdisjoint(finding.evidence):
            return "+ average.load_state_dict(model.state_dict())  # before each evaluation: an average is near to them"
        if patch.value == "trained":
            return f"- {code}\n+ # the same with the weights of the model that was trained"
        return loaded_late(finding, code) if patch.value == "late" else renamed(finding)
    if patch.kind == "term":
        return weighted_term(finding, patch.value.rpartition(" x")[2])
    if patch.kind == "dropout" and patch.value.endswith("=eval"):
        return "+ # before this line: if not self.training, return the input as it is"
    if patch.kind == "dropout" and code:
        p, gone = patch.value.rpartition("=")[2], patch.value.endswith("=0")
        return f"- {code}\n+ # without this dropout" if gone else f"- {code}\n+ # the same with p={p}"
    if patch.kind == "inverse-order":
        inverse = re.sub(r"\[(\w+)\](?=[^\[\]]*$)", r"[torch.argsort(\1)]", code)
        return replaced(line, inverse) or f"- {code}\n+ # the same with torch.argsort(order) in the place of the order"
    if patch.kind == "bypass":
        return f"- {code}\n+ # without {patch.value.rpartition('.')[2]}"
    if patch.value.startswith("eps=") and patch.kind == "batchnorm":
        return f"- {code}\n+ # the same with eps=1e-5: the second argument is no momentum"
    if str(patch) == "batchnorm:nearest":
        return f"- {code}\n+ # the same once for each of the {finding.evidence['passes']} kinds of batches"
    if str(patch) == "batchnorm:each":
        return f"- {code}\n+ # the same once for each of the {finding.evidence['uses']} places that call it"
    if patch.kind == "batchnorm":
        return with_momentum(line, code, finding)
    if patch.kind == "epsilon" and code:
        return replaced(line, re.sub(r"\beps\s*=\s*[^,)]+", f"eps={patch.value}", code))
    if patch.kind == "last-step" and (ends := at_their_ends(code)):
        return replaced(line, ends)
    if str(patch) == "targets:next" and (apart := one_apart(code)):
        return replaced(line, apart)
    if str(patch) == "targets:unshift" and (once := shifted_once(code)):
        return replaced(line, once)
    added = _ADDED.get(str(patch)) or _ADDED.get(f"{patch.kind}:{patch.value or 'default'}") or _ADDED.get(patch.kind)
    return f"+ {added}".replace("{value}", patch.value) if added else ""


def _of_targets(patch: Patch, finding: Finding, code: str) -> str:
    rule, _, value = patch.value.partition("=")
    if rule == "unit":
        low, high = (float(v) for v in value.split(","))
        shifted = f"(target - {low:g})" if low > 0 else f"(target + {-low:g})" if low < 0 else "target"
        return f"+ target = {shifted} / {high - low:g}" if high - low != 1 else f"+ target = {shifted[1:-1]}"
    if rule == "balanced":
        if "sampler" in finding.evidence:
            return "+ # without class weights in the loss: the sampler balances already"
        return WEIGHTED
    if re.search(r"ignore_index\s*=", code):
        return f"- {code}\n+ " + re.sub(r"ignore_index\s*=\s*[^,)]+", f"ignore_index={value}", code)
    made = re.sub(r"(CrossEntropyLoss|NLLLoss)\(\s*", rf"\1(ignore_index={value}, ", code).replace(", )", ")")
    return f"- {code}\n+ {made}" if made != code else f"+ ignore_index={value}  # in the loss"


def _relu(match: re.Match[str]) -> str:
    name = "ReLU" if match.group(2)[0].isupper() else "relu"
    return f"{match.group(1) or ''}{name}"
