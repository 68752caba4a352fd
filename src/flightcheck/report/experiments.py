"""What was tried, in words: for the terminal and for other reports."""

from __future__ import annotations

import re

from flightcheck.patch import Patch
from flightcheck.recording.experiments import NO_TIME, Experiment
from flightcheck.recording.rates import highest_rate
from flightcheck.recording.run import Run

METRICS = {
    "loss": "loss",
    "error": "error",
    "evaluation": "loss of the evaluation",
    "trained share": "share of parameters that learn",
    "answers": "wrong answers of the evaluation",
}
_WORDS = {
    "inputs:zero": "inputs zeroed",
    "inputs:permute": "inputs permuted across the batch",
    "shuffle:collated": "labels put into the order of what the collate function sorts",
    "shuffle:repeated": "labels repeated in the order in which the inputs repeat",
    "shuffle:together": "inputs and targets drawn in one order",
    "shuffle": "training examples shuffled",
    "inputs:standardize": "inputs standardized",
    "targets:standardize": "targets standardized",
    "targets:permute": "targets permuted across the batch",
    "targets:shift-1": "class ids lowered by 1",
    "targets:signs": "targets -1 and 1 in the place of 0 and 1",
    "targets:finite": "examples with non-finite targets left out of the loss",
    "inputs:as-training": "evaluation inputs on the scale of the training inputs",
    "inputs:known": "what stands for missing values replaced by the mean of its column",
    "inputs:finite": "non-finite inputs replaced by the mean of their feature",
    "last-step:lengths": "the last output of each sequence at its own end",
    "targets:unshift": "targets one position ahead",
    "targets:next": "targets one position ahead, judged by the next token",
    "batch-first": "layers of sequences that take batches first",
    "axes": "axes moved where a reshape cut them up",
    "scheduler:off": "learning rate kept constant",
    "scheduler:batch": "the schedule stepping after each step of the optimizer",
    "clip:off": "no clipping",
    "regularization:weight_decay": "no weight decay",
    "regularization:dropout": "no dropout",
    "regularization:label_smoothing": "no label smoothing",
    "regularization:off": "no weight decay, dropout or label smoothing",
    "drop-module": "without the last activation",
    "swap-activation:relu": "ReLU in the place of saturating activations",
    "insert-activation:relu": "a ReLU behind each hidden layer",
    "insert-norm:layer": "hidden layers normalized",
    "align-shapes": "prediction and target in the same shape",
    "reinit:default": "weights drawn anew by the layers' own rule",
    "reinit:kaiming": "weights drawn anew by He's rule",
    "reinit:tables": "embeddings drawn anew, with rows of length 1",
    "reinit:xavier": "weights drawn anew by Glorot's rule",
    "precision:float32": "without mixed precision",
    "precision:master": "float32 copies of the weights in the optimizer",
    "zero-grad": "gradients cleared after each step, and only then",
    "zero-grad:evaluation": "gradients cleared once for each evaluation of the closure",
    "zero-grad:closure": "gradients cleared before each backward of the closure",
    "step": "the optimizer steps after each backward",
    "keep-state": "the optimizer keeps its state",
    "add-parameters:thawed": "what is thawed goes into the optimizer",
    "add-parameters": "the optimizer holds all parameters of the model",
    "options:moved": "each value on its own option of the optimizer",
    "keep-modules": "one layer for all calls, held by the optimizer",
    "mode:eval": "evaluation in eval mode",
    "batchnorm:momentum=0.1": "BatchNorm's momentum 0.1",
    "batchnorm:eps=1e-05": "BatchNorm's epsilon 1e-5",
    "batchnorm:nearest": "running statistics of its own for each kind of batch",
    "batchnorm:each": "running statistics of its own for each place of a BatchNorm",
    "batchnorm:running": "training steps normalize with BatchNorm's running statistics",
    "mode:batchnorm": "BatchNorm in train mode",
    "mode:train": "training in train mode",
    "unscale-first": "gradients unscaled before clipping",
    "clamp": "arguments of log, sqrt and division kept away from 0",
    "loader:continue": "each iterator going on where the last one stopped",
    "load:match": "the checkpoint's names matched to the model's",
    "load:late": "the loaded weights in the model at its first call",
    "load:buffers": "the trained model's buffers in the one that is evaluated",
    "load:turned": "the trained weights in the model that gave its own",
    "load:trained": "the trained weights in the model that is evaluated",
    "draws": "one draw for the target and for the input",
    "visits:stored": "evaluation examples visited in the stored order",
    "picks": "the same rows of inputs and targets",
    "sampler:balanced": "a sampler that balances the classes, judged by as many examples of each",
    "place": "the position encoding cut along time",
    "edges": "the edges of each graph shifted by the nodes before it",
    "episode-end": "no value behind the end of an episode",
    "temperature": "similarities divided by the factor",
    "weights-turned": "losses divided by their weights in the place of multiplied, or the other way round",
    "weights-held": "weights of the losses held by their logarithms",
    "inverse-order": "the inverse of the order",
    "hooks": "each hook registered once",
    "signed": "labels of -1 and 1",
    "extreme": "extreme of the values that the mask left",
    "swap-activation": "ReLU in the place of the softmax",
    "attention-scale": "scores over the root of their width",
    "noise-level": "data and noise with the coefficients that keep the variance",
    "mask:causal": "a causal mask in every attention, judged by sequences that end before the token",
    "mask": "the mask of the attention inverted",
    "mixed-up": "what is cut off permuted across the batch",
    "keep-graph": "without the cut of the graph",
    "carry-state": "each step with the state of the one before",
}


_RULES = {
    "loss:roles": "near and far exchanged",
    "loss:negate": "steps in the other direction",
    "targets:opposite": "the other label in the generator's step",
    "targets:sorted": "targets in the order of the inputs",
    "loss:turned": "the inverse weights of positives",
    "loss:rate": "the loss told that it is given the rate",
    "loss:transpose": "the classes brought to the loss's axis",
    "loss:several": "a yes or no for each output",
    "loss:both": "the part of the labels 0 as well",
    "loss:soft_margin": "a margin loss for scores",
    "loss:log_softmax": "log-probabilities for the loss",
    "axes:softmax": "the softmax over the classes",
    "axes:target": "the target flattened in the order of the prediction",
    "add-parameters:instead": "the optimizer holds the parameters that none holds, in the place of its own",
}
"""Patches whose value begins so, whatever follows it."""
_SOURCES = {
    "first": "the list in the order of the steps",
    "transform": "evaluation inputs transformed by what was fitted to the training",
    "unordered": "without the order that only one of inputs and labels was put in",
    "order": "",  # its companion says it
    "same-order": "inputs and labels in the same random order",
    "rows": "training examples in random order",
    "fractions": "whole numbers not forced",
    "into": "backward and step in the loop over the batches",
    "out": "the loop not left in its first round",
    "from-zero": "large numbers counted from the smallest one",
    "double": "float64 until the model is called",
    "later": "the number after the window as the target",
    "unturned": "images not turned over",
    "unsorted": "evaluations in the stored order",
    "goes-on": "each step with the state of the one before",
    "handed-out": "copies of the states returned",
    "negations": "negations kept among the words",
    "unactivated": "the line without its ReLU",
    "kept": "the numbers of the first call in all calls",
    "known": "what was made of the training data used again",
    "apart": "batches that begin one behind the other",
    "copied": "the best weights kept as a copy",
    "turned": "the model kept by the other comparison",
    "longer": "more rounds of training",
    "carried": "the rate computed from the number of all steps",
    "share": "right answers divided by all that were compared",
    "at-zero": "logits cut at 0",
    "others": "the other elements counted in the loss",
    "cleared": "a sum that begins anew in each round",
}
_METRICS = {
    "align": "predictions and labels in one shape",
    "cut": "logits cut at 0",
    "classes": "the class of the largest score in the place of scores",
    "sign": "a yes or no of each score",
    "once": "without the second sigmoid",
    "exchange": "targets and predictions exchanged",
    "scale": "predictions on the scale of what they are compared with",
    "nearest": "the nearest in the place of the farthest",
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
        elif p.kind == "head":
            told.append(f"{p.value} outputs and cross-entropy")
        elif p.kind == "accumulate":
            told.append(f"accumulated gradients times {p.value[1:]}")
        elif p.kind == "term":
            place, _, factor = p.value.partition(" x")
            told.append(f"the term in line {place.rpartition(':')[2]} times {factor}")
        elif p.kind == "metric":
            told.append(_METRICS.get(re.split("[:=]", p.value)[0], "a metric counted anew"))
        elif p.kind == "source":
            told += [said] if (said := _SOURCES.get(re.split("[:@]", p.value)[0], "a statement written anew")) else []
        elif p.kind == "follow":
            told.append(f"the copy of the weights brought up to date every {p.value} steps")
        elif p.kind == "epsilon":
            told.append(f"the optimizer's epsilon {p.value}")
        elif p.kind == "unfreeze":
            told.append(f"{p.value} trained as well")
        elif p.kind == "dropout":
            path, _, value = p.value.rpartition("=")
            told.append(
                f"in evaluations the mean of the mask at {path}" if value == "eval"
                else f"without dropout in {path}" if value in ("", "0")
                else f"{path} drops {value}"
            )  # fmt: skip
        elif said := _RULES.get(text.partition("=")[0], "") or _with_value(p):
            told.append(said)
        elif p.kind == "loss" and p.value.startswith("all:"):
            told.append("all losses of the loop added up")
        elif p.kind == "loss" and p.value.startswith(("softmax:", "sigmoid:")):
            told.append(f"a {p.value.partition(':')[0]} before line {p.value.rpartition(':')[2]}")
        elif p.kind == "loss" and p.value.startswith("none:"):
            told.append("the weights before the mean")
        elif p.kind == "loss":
            told.append(f"{p.value} as loss" if p.value not in ("mean", "sum") else f"the loss's {p.value}")
        else:
            told.append(_WORDS.get(text) or _WORDS.get(p.kind) or text)
    return ", ".join(told)


def _with_value(patch: Patch) -> str:
    """What has numbers in its value; empty for others."""
    rule, _, value = patch.value.partition("=")
    if patch.kind not in ("targets", "loss", "inputs"):
        return ""
    if rule == "unit" and not value:
        return "targets brought to 0 … 1"
    if rule == "unit":
        low, high = value.split(",")
        return f"targets brought from {low} … {high} to 0 … 1"
    if rule == "known" and patch.kind == "targets":
        return "missing labels left out of the loss"
    if rule == "ignore":
        return f"targets {value} left out of the loss"
    if rule == "balanced":
        return "classes weighted by the inverse of their counts in the batches"
    if rule == "begin" and patch.kind == "inputs":
        return f"evaluations that begin with token {value.partition(',')[2]}"
    return f"inputs times {rule[1:]}" if patch.kind == "inputs" and rule.startswith("x") else ""


def _learning_rate(patch: Patch, run: Run) -> str:
    main = max((o for o in run.optimizers if o.steps), key=lambda o: o.steps, default=None)
    old = highest_rate(run, main) if main is not None else None
    if old is None or not patch.value.startswith("x"):
        return f"learning rate {patch.value}"
    return f"learning rate {old:g} → {old * float(patch.value[1:]):g}"


def metric_in_words(name: str) -> str:
    """In words; what the script prints, by its own name."""
    return METRICS.get(name) or name.removeprefix("printed ")


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
    text = f"{what}, {seeds} × {e.steps} steps, {metric_in_words(e.metric)} {e.before:.3g} → {e.after:.3g}. "
    text += e.status
    why = e.reason
    if e.status == "inconclusive" and not why and e.seeds_needed:
        why = f"{e.seeds_needed} seeds would decide it"
    return f"{text} ({why})" if why else text
