"""What was tried, in words: for the terminal and for other reports."""

from __future__ import annotations

from flightcheck.patch import Patch
from flightcheck.recording.experiments import NO_TIME, Experiment
from flightcheck.recording.run import Run

_METRICS = {
    "loss": "loss",
    "error": "error",
    "evaluation": "loss of the evaluation",
    "trained share": "share of parameters that learn",
}
_WORDS = {
    "inputs:zero": "inputs zeroed",
    "inputs:permute": "inputs permuted across the batch",
    "shuffle": "training examples shuffled",
    "inputs:standardize": "inputs standardized",
    "targets:standardize": "targets standardized",
    "targets:permute": "targets permuted across the batch",
    "targets:shift-1": "class ids lowered by 1",
    "last-step:lengths": "the last output of each sequence at its own end",
    "targets:unshift": "targets one position ahead",
    "scheduler:off": "learning rate kept constant",
    "clip:off": "no clipping",
    "regularization:weight_decay": "no weight decay",
    "regularization:dropout": "no dropout",
    "regularization:label_smoothing": "no label smoothing",
    "regularization:off": "no weight decay, dropout or label smoothing",
    "drop-module": "without the last activation",
    "swap-activation:relu": "ReLU in the place of saturating activations",
    "insert-norm:layer": "hidden layers normalized",
    "align-shapes": "prediction and target in the same shape",
    "reinit:default": "weights drawn anew by the layers' own rule",
    "reinit:kaiming": "weights drawn anew by He's rule",
    "reinit:xavier": "weights drawn anew by Glorot's rule",
    "precision:float32": "without mixed precision",
    "precision:master": "float32 copies of the weights in the optimizer",
    "zero-grad": "gradients cleared after each step, and only then",
    "step": "the optimizer steps after each backward",
    "keep-state": "the optimizer keeps its state",
    "add-parameters": "the optimizer holds all parameters of the model",
    "mode:eval": "evaluation in eval mode",
    "mode:train": "training in train mode",
    "unscale-first": "gradients unscaled before clipping",
    "clamp": "arguments of log, sqrt and division kept away from 0",
    "keep-graph": "without the cut of the graph",
}


def patch_in_words(patch: str, run: Run) -> str:
    """A patch as a reader would say it."""
    told = []
    for text in patch.split(" + "):
        try:
            p = Patch.parse(text)
        except ValueError:  # of a newer version
            told.append(text)
            continue
        if p.kind == "lr":
            told.append(_learning_rate(p, run))
        elif p.kind == "drop-module" and p.value:
            told.append(f"without the {p.value} before the loss")
        elif p.kind == "freeze-batch":
            told.append(f"the first {p.value} examples again and again")
        elif p.kind == "optimizer":
            told.append(f"{p.value} as optimizer")
        elif p.kind == "clip" and p.value != "off":
            told.append(f"gradients clipped at norm {p.value}")
        elif p.kind == "epsilon":
            told.append(f"the optimizer's epsilon {p.value}")
        elif p.kind == "unfreeze":
            told.append(f"{p.value} trained as well")
        elif text == "loss:negate":
            told.append("steps in the other direction")
        elif text == "loss:transpose":
            told.append("the classes brought to the loss's axis")
        elif p.kind == "loss":
            told.append(f"{p.value} as loss" if p.value not in ("mean", "sum") else f"the loss's {p.value}")
        else:
            told.append(_WORDS.get(text) or _WORDS.get(p.kind) or text)
    return ", ".join(told)


def _learning_rate(patch: Patch, run: Run) -> str:
    main = max((o for o in run.optimizers if o.steps), key=lambda o: o.steps, default=None)
    old = next((g["lr"] for g in (main.groups if main else []) if isinstance(g.get("lr"), (int, float))), None)
    if old is None or not patch.value.startswith("x"):
        return f"learning rate {patch.value}"
    return f"learning rate {old:g} → {old * float(patch.value[1:]):g}"


def left_out(run: Run) -> list[str]:
    """What was not tried because the time for experiments was over, in one line; none if all was."""
    late = [e for e in run.experiments if e.reason == NO_TIME]
    if not late:
        return []
    what = ", ".join(dict.fromkeys(patch_in_words(e.patch, run) for e in late))
    return [f"Not tried in the time that experiments had (--lab-budget): {what}."]


def tried_in_words(e: Experiment, run: Run) -> str:
    """One sentence: what was changed, how often, what it did, and the outcome."""
    what = patch_in_words(e.patch, run)
    if e.status == "untested":
        return f"{what}: untested ({e.reason})"
    if e.before is None or e.after is None:
        return f"{what}: {e.status} ({e.reason})"
    seeds = "1 seed" if e.seeds == 1 else f"{e.seeds} seeds"
    text = f"{what}, {seeds} × {e.steps} steps, {_METRICS.get(e.metric, e.metric)} {e.before:.3g} → {e.after:.3g}. "
    text += e.status
    if e.status == "inconclusive":
        why = e.reason or (f"{e.seeds_needed} seeds would decide it" if e.seeds_needed else "")
        text += f" ({why})" if why else ""
    return text
