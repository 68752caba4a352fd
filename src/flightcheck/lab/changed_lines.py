"""A line of the script as it would be with a patch: what `diffs` shows of patches that change code."""

from __future__ import annotations

import linecache
import re
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.lab.source_edits import calls_arrays, is_expression, without_call
from flightcheck.patch import Patch
from flightcheck.recording.carried import is_carried
from flightcheck.recording.indenting import RULES as MOVING
from flightcheck.recording.indenting import shown
from flightcheck.recording.rates import written_rate
from flightcheck.recording.records import Location
from flightcheck.recording.rewriting import shuffled_beside, statement_at
from flightcheck.recording.run import Run
from flightcheck.recording.separating import HELPER

_NUMBER: Final = re.compile(r"(?<![\w.])(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)(?![\w.])")


def over_classes(line: Location | None, code: str, axis: str) -> str:
    """The softmax of a line over another axis, as a call or as a module."""
    named = re.sub(r"\bdim\s*=\s*-?\d+", f"dim={axis}", code)
    if named == code:
        named = re.sub(r"(softmax\([^()]*(?:\([^()]*\)[^()]*)*,\s*)-?\d+(\))", rf"\g<1>{axis}\2", code)
    if named == code:
        named = re.sub(r"(\b(?:Log)?Softmax\()-?\d*(\))", rf"\g<1>dim={axis}\2", code)
    return replaced(line, named) or f"- {code}\n+ # the same over the classes: dim={axis}"


def connected(line: Location | None, code: str, operation: str) -> str:
    """The line without what cuts the graph."""
    if operation in ("integer", "comparison"):
        return f"- {code}\n+ # the loss gets the scores themselves; this line stays for what is printed"
    if operation == "no_grad":
        return f"- with torch.no_grad():  # around: {code}\n+ # the same without no_grad()"
    if operation in ("tensor", "numpy") or re.search(r"tensor\(|numpy\(", code):
        without = without_call(without_call(without_call(code, "tensor"), "as_tensor"), "from_numpy")
        without = re.sub(r"\.detach\(\)|\.cpu\(\)|\.numpy\(\)|\.data\b|\.item\(\)", "", without)
        without = re.sub(r"\.(max|min)\((?:axis|dim)=", r".a\1(dim=", without)  # max alone gives positions as well
        without = re.sub(r"\b(?:np|numpy)\.(\w+\()", r"torch.\1", without)
        without = re.sub(
            r"(?:\w+\.)?\bcosine_similarity\((\w+), (\w+)\)",
            r"F.normalize(\1, dim=1) @ F.normalize(\2, dim=1).T",
            without,
        )
        without = re.sub(r"(?:\w+\.)?\beuclidean_distances\(", "torch.cdist(", without)
        if line is not None and calls_arrays(without, "".join(linecache.getlines(line.file))):
            return f"- {code}\n+ # the same with operations of PyTorch, on the tensor itself"
        given = re.sub(r"(?<![\w.])\[", "torch.stack([", without, count=1)
        return replaced(line, without if given == without else re.sub(r"\](?=[^\]]*$)", "])", given))
    return replaced(line, re.sub(r"\.detach\(\)|\.data\b|\.item\(\)", "", code).replace(".sample(", ".rsample("))


def rewritten(patch: Patch, finding: Finding) -> str:
    """The statement and what becomes of it; what only a trial can run is said in words."""
    rule, _, place = patch.value.partition(":")
    at, line = finding.location, int(place.rpartition(":")[2])
    code = linecache.getline(at.file, line).strip() if at is not None else ""
    if rule == "rows":
        return f"- {code}\n+ # with rows = torch.randperm(n)[start:end] in the place of [start:end], anew in each epoch"
    if rule.startswith("share@"):
        divisor = str(finding.evidence["divided_by"])
        return f"- {code}\n+ # the same divided by how many answers were compared, in the place of {divisor}"
    if rule.startswith("others@"):
        name = rule.partition("@")[2]
        return f"- {code}\n+ # the same with the other elements: 1 - {name}, or ~{name} of truth values"
    if rule.startswith("cleared@"):
        name = rule.partition("@")[2]
        return f"+ {name} = 0  # at the start of each round of the loop at line {line}"
    if rule == "begin":
        code = (
            finding.location.code or linecache.getline(finding.location.file, finding.location.line).strip()
            if finding.location is not None
            else ""
        )
        variable = finding.evidence["variable"]
        begun = re.sub(r"\[\s*0?\s*:\s*([^\]:]+?)\s*\]", rf"[{variable}:{variable} + \1]", code)
        return f"- {code}\n+ {begun}" if begun != code else ""
    if rule == "turned":
        other = {"<": ">", ">": "<"}
        turned = re.sub(r"[<>]", lambda m: other[m[0]], code, count=1)
        return f"- {code}\n+ {turned}  # beginning with the other infinity"
    source = "".join(linecache.getlines(at.file)) if at is not None else ""
    if rule == "later":
        return f"- {code}\n+ {re.sub(r' *- *1 *]', ']', code, count=1)}"
    if is_carried(rule):
        return f"- {code}\n+ # the same with the number of all steps so far in the place of {rule.partition('@')[2]}"
    if rule in _IN_WORDS:
        return f"- {code}\n+ # {_IN_WORDS[rule]}"
    if rule in MOVING:
        return shown(source, rule, line)
    if rule == "unordered" and shuffled_beside(source, line):
        return ""
    new = statement_at(source, rule, line).replace(f"{HELPER}.deepcopy(", "copy.deepcopy(")
    left, _, right = new.partition(" = ")
    return f"- {code}" + (f"\n+ {new}" if new not in ("", "pass") and left != right else "")


_IN_WORDS: Final = {
    "unturned": "without it, or with the target turned as the image is",
    "unsorted": "without it, or with the targets in the same order",
    "handed-out": "the same with .copy() (.clone() of a tensor) of the state",
    "double": "the same in float64; float32 once the differences are taken",
    "single": "the same in float32; half precision once the sines are taken",
    "from-zero": "the same minus the smallest value, in float64",
}
"""Changes whose statement would not tell what they mean."""


def renamed(finding: Finding) -> str:
    """State whose keys have the prefix that the module wants."""
    theirs, ours = (str(finding.evidence.get(k, "")) for k in ("source_prefix", "module_prefix"))
    name = f'k.removeprefix("{theirs}")' if theirs else "k"
    new = f'"{ours}" + {name}' if ours else name
    return f"+ state = {{{new}: v for k, v in state.items()}}  # before it is loaded" if theirs or ours else ""


def loaded_late(finding: Finding, code: str) -> str:
    """Weights loaded into what is trained, where nothing changes them before."""
    if finding.evidence.get("kind") == "not-loaded":
        model = re.match(r"([\w.]+)\.state_dict\(\)", code)
        taken = re.match(r"([\w.]+)\.update\(", code)
        return f"+ {model[1] if model else 'model'}.load_state_dict({taken[1] if taken and not model else 'state'})"
    where = (
        "before the weights are loaded"
        if finding.evidence.get("kind") == "overwritten"
        else "of the model that is trained"
    )
    return f"- {code}\n+ # the same {where}" if code else ""


def weighted_term(finding: Finding, factor: str) -> str:
    """The line that computes the term, with a factor; the term in words where more stands in that line."""
    code, line = str(finding.evidence.get("other_code", "")), finding.evidence.get("other_line")
    assigned = re.match(r"(\w+\s*=(?!=)\s*)([^#]+)", code)
    alone = assigned is not None and finding.location is not None and finding.location.line != line
    if not alone or assigned is None or not is_expression(assigned[2].strip()):
        return f"+ {factor} * (the term in line {line})"
    return f"- {code}\n+ {assigned[1]}{factor} * ({assigned[2].strip()})"


def with_rate(patch: Patch, run: Run) -> str:
    """The line that sets the learning rate, with the patch's one."""
    stepping = sorted((o for o in run.optimizers if o.steps), key=lambda o: -o.steps)
    if stepping:
        old = stepping[0].groups[0].get("lr") if stepping[0].groups else None
        where = stepping[0].lr_location or stepping[0].location
    else:
        old, where = written_rate(run, None)
    if not isinstance(old, (int, float)):
        return ""
    new = float(old) * float(patch.value[1:]) if patch.value.startswith("x") else float(patch.value)
    for number in _NUMBER.finditer(where.code if where is not None else ""):
        if abs(float(number.group()) - old) <= 1e-9 * abs(old) and where is not None:
            return replaced(where, where.code[: number.start()] + f"{new:g}" + where.code[number.end() :])
    return f"- lr={old:g}\n+ lr={new:g}"


def with_momentum(line: Location | None, code: str, finding: Finding) -> str:
    """A BatchNorm with the usual momentum."""
    if re.search(r"\bmomentum\s*=", code):
        return replaced(line, re.sub(r"\bmomentum\s*=\s*[^,)]+", "momentum=0.1", code))
    return f"- momentum={finding.evidence.get('momentum', 0.0):g}\n+ momentum=0.1"


def without_activation(code: str, activation: str) -> str:
    """The line without a call or module of an activation."""
    without = without_call(code, activation or "softmax")
    if not without:
        return f"- {code}"
    return f"- {code}\n+ {without}" if without != code else f"- {code}\n+ # without {activation}"


def replaced(line: Location | None, new: str) -> str:
    """The line as it stands, and the new one; empty where both are the same."""
    old = line.code if line is not None else ""
    if line is not None and not old:
        old = linecache.getline(line.file, line.line).strip()
    return f"- {old}\n+ {new}" if new != old else ""
