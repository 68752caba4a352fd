"""A change to a training as data: one word of what is changed, and to what.

A patch acts at a boundary that every training has (the batch source, the inputs of the model, the loss call, the
outputs of modules, the optimizer's step), never on the source: the same patch works for every style of code. Its text
form, ``kind`` or ``kind:value``, stands in findings, records and reports.
"""

from __future__ import annotations

import re
from typing import Final

from flightcheck.frozen import frozen

KINDS: Final[dict[str, str]] = {
    "lr": "the learning rate at each step: a factor (``x0.1``) or a value (``0.001``)",
    "optimizer": "another optimizer makes the steps: ``Adam(0.001)``, ``SGD(0.01)``",
    "scheduler": "``off``: the learning rate stays at that of the first step; ``batch``: the schedule steps after each "
    "step of its optimizer, and only then",
    "clip": "the largest norm of all gradients together (``1.0``), or ``off``: the script's own clipping does nothing",
    "regularization": "``off``: weight decay, dropout and label smoothing are zero; or one of them by name",
    "freeze-batch": "the first rows of the first batch (``8``), again and again, tiled to the shape of each batch",
    "shuffle": "loaders that read a data set in its order read it in a random one, anew in each pass; with ``others`` "
    "the error on batches of another order judges, and no evaluation; ``together``: loaders of as many examples give "
    "them in one order; ``repeated``: of data that repeat as a whole beside labels that repeat one by one, the labels "
    "as the data; ``collated``: labels that a collate function left behind "
    "are put into the order of what it sorts",
    "reseed": "``off``: a generator that gets the same seed again in step after step goes on as it is",
    "sampler": "``examples``: a weighted sampler with too few weights has one for each example: that of its class, or "
    "where no labels are known, all the same; ``balanced``: the weights of one that follow the classes are the inverse "
    "of their counts",
    "inputs": "``zero``, ``permute`` (rows across the batch), ``standardize`` (with the first batches' statistics), "
    "``begin=0,1`` (in evaluations sequences begin with the second token in the place of the first), "
    "``finite`` (NaN and infinity become the mean of their feature), ``as-training`` (evaluations on the scale of the "
    "training), ``turned`` (three channels of images in the other order in evaluations), ``known`` (numbers that stand "
    "for missing values become the mean of the others in their column) or a factor (``x255``)",
    "targets": "``permute`` (rows across the batch), ``standardize``, ``shift-1`` (class ids lowered by one), "
    "``unit=0,255`` (this range, or that of the first batch, becomes 0 to 1), ``signs`` (0 and 1 become -1 and 1), "
    "``finite`` (examples with NaN or infinity are left out), ``known=train.py:31`` (labels that are missing, and "
    "got a zero at that line, do not count), ``opposite=train.py:31`` (the other of two labels, at a "
    "line), ``sorted=train.py:33`` (in the order that this line computes), ``unshift`` (the next token, where the "
    "target is the one after it) or ``next`` (the next one, where it is the token itself)",
    "drop-module": "``softmax`` or ``sigmoid``: the loss is given what that activation was given",
    "swap-activation": "``relu`` in the place of each saturating activation between layers; "
    "``softmax@train.py:31,train.py:33``: ReLU in the place of the softmaxes at lines",
    "insert-activation": "the outputs of hidden layers go through an activation: ``relu``",
    "insert-norm": "the outputs of hidden layers are normalized over their features: ``layer``",
    "loss": "another loss function: ``cross_entropy``, ``bce_with_logits``, ``mse_loss``, ``several`` (each output "
    "is a yes or no), ``soft_margin``; ``rate`` (of a Poisson loss, not its logarithm); ``log_softmax``: a divergence "
    "is given log-probabilities; another reduction: "
    "``mean``, or ``none`` at a line (``none:train.py:31``), or ``all`` that a line made since the last backward; "
    "``both`` parts of a binary cross-entropy; ``softmax:train.py:31``, ``sigmoid:train.py:31``: what this line takes "
    "for probabilities is made such; "
    "``negate``; ``roles``: of pairs and triplets, near and far change places; ``transpose``: the last axis of the "
    "prediction is that of the classes; ``ignore=0``: targets of this id do not count; "
    "``turned``: the weights of positives are the inverse of what they are; "
    "or ``balanced=90,10``: classes are weighted by the inverse of these counts",
    "head": "the last layer has as many outputs as there are classes (``10``), under a cross-entropy",
    "episode-end": "at a line (the first) what a flag of the batch calls an end has no value behind it: the line that "
    "fetches the flag, its number among the vectors of that line, and the value that means an end "
    "(``train.py:90,train.py:55,0,1``)",
    "edges": "graphs that are joined to a batch: at a line (``train.py:34``) the edges of each are shifted by the "
    "nodes before it",
    "temperature": "at a line (``train.py:31``) a matrix is divided by the number below 1 that it is multiplied with; "
    "``own:train.py:31`` in a loss that the script computes by itself",
    "inverse-order": "rows that a line (``train.py:60``) picks by an order are picked by its inverse",
    "hooks": "``once``: of equal hooks on a tensor or module the newest stays alone",
    "signed": "at a line (``train.py:31``) zeros and ones that multiply scores become -1 and 1",
    "extreme": "at a line (``train.py:31``) a minimum or maximum is one of the values that a mask left, and not one of "
    "the zeros that it made",
    "weights-held": "losses that are multiplied at a line by a trained weight, the factor of this number "
    "(``0@train.py:20``), also lose its logarithm",
    "weights-turned": "losses that are multiplied at a line by a trained weight (``0@train.py:20``) are divided by it, "
    "or the other way round",
    "attention-scale": "what a softmax at a line is given is multiplied by a number (``train.py:31=0.25``)",
    "noise-level": "at a line that adds noise to data, coefficients that lack a root get it: "
    "``noise-root:train.py:31``, ``data-root`` or ``both-roots``; or those of a single step become those of "
    "all steps up to it (``product``)",
    "place": "a slice of a position encoding that was cut by the batch is cut by time: at a line (``train.py:31``)",
    "picks": "of rows that two lines pick out of tables of one length, those picked last are those picked first: "
    "``train.py:67,68``",
    "draws": "of random numbers drawn at two lines of a step, those drawn last are those drawn first: "
    "``train.py:58,60``",
    "axes": "``stream:train.py:31``: of a long row each example is a piece; ``permute``: a reshape that cuts "
    "axes up moves them instead; at a line (``permute:train.py:31``); or a "
    "softmax there is over another axis (``softmax=-1:train.py:31``), or a target is permuted before it is flattened "
    "there (``target=1.0:train.py:31``)",
    "term": "one term of the loss has another weight: its number in the sum, its line, and a factor "
    "(``2@train.py:31 x0.02``)",
    "align-shapes": "prediction and target are given the same shape before they are compared",
    "reinit": "matrices are drawn anew: ``default`` (of their layer), ``xavier`` or ``kaiming``; biases zero; "
    "``tables``: embeddings alone, with rows of length 1; ``never``: what was trained is not drawn anew",
    "precision": "``float32``: automatic mixed precision is off; ``master``: the optimizer steps on float32 copies of "
    "weights that are stored in 16 bits",
    "options": "``moved``: values of an optimizer's options that stand on other options are moved to their own",
    "epsilon": "the optimizer's epsilon: ``1e-8``",
    "zero-grad": "gradients are cleared after each step, and never before it; ``closure``: before each backward in a "
    "closure, and not after it; ``by-hand``: of tensors that the script updates itself, after each update",
    "step": "the optimizer of this number (``1``), which never steps, steps after each backward for it",
    "keep-state": "an optimizer that is built anew, or emptied, goes on with the state of before",
    "old-graphs": "``off``: backward sends nothing into the graphs of losses of earlier rounds",
    "add-parameters": "the optimizer also holds the parameters of the called models that no optimizer holds; "
    "``instead=1``: that of this number holds them in the place of its own; ``thawed``: as soon as they get a gradient",
    "keep-modules": "layers that a forward pass constructs are those of its first call, and an optimizer holds them",
    "unfreeze": "the parameters of a module (``model.head``) get gradients, and its model's optimizer holds them",
    "mixed-up": "at a line (``train.py:31``) a tensor that is taken out of the graph has its examples in another order",
    "keep-graph": "``detach``, ``data``, ``item`` and copies give the tensor itself, ``sample`` is ``rsample``, "
    "``no_grad`` does nothing; at a line (``train.py:31``) or at all; at a line thresholds and classes are scores",
    "carry-state": "at a line, recurrent cells that start from zeros at each step of a sequence go on with the state "
    "of the step before: ``train.py:31``",
    "call-instead": "every second call of a module in a forward pass is one of another: ``model.mu>model.logvar``",
    "residual": "to the outputs of modules of a class (``Block``) their inputs are added, where both have one shape",
    "clamp": "logarithms, roots and divisions are kept away from zero by this much: ``1e-8``",
    "mask": "``invert:attn_mask:train.py:31``: at that line attention sees what that mask blocks, and nothing else; "
    "``fill:train.py:31``: scores that a mask fills there get no weight; "
    "``causal``: every attention over the tokens sees what came before",
    "mode": "``train`` in training steps and ``eval`` in evaluations, whatever the script set; ``batchnorm``: train "
    "mode in training steps for these modules alone",
    "batchnorm": "``momentum=0.1``: the weight of the newest batch in the running statistics; ``each``: statistics of "
    "their own for each of several calls in a pass; ``nearest``: for each of several passes in a step; ``running``: "
    "training steps normalize with these statistics, too; ``eps=1e-5``: another epsilon",
    "bypass": "a module gives back what it is given: ``model.norm``",
    "dropout": "the probability of one dropout: of a module (``model.drop=0.1``), or of a call (``train.py:31=0.1``); "
    "``train.py:31=eval``: the mask of the product at this line is its mean in evaluations",
    "probe": "nothing is changed, something is measured: ``neighbours``, ``leaks``, ``gradients``, ``modes`` or "
    "``terms``",
    "last-step": "``lengths``: the last output of padded sequences is read at the end of each, not at the padding",
    "batch-first": "recurrent and attention layers that take time first, and are given batches first, take them so",
    "unscale-first": "gradients are unscaled before they are clipped",
    "accumulate": "what each backward adds to the gradients, times a factor (``x0.25``)",
    "loader": "``continue``: an iterator that is made for every batch goes on where the last one stopped; "
    "``restored``: before each batch the examples that a dataset holds are what they were at first",
    "load": "``match``: names in a loaded state that fit no parameter get the prefix of those that are missing; or "
    "``late``: at its first call a model gets what was loaded before into it, into another model of its class, or into "
    "its state's dictionary only; ``trained``: a model that is evaluated and held by no optimizer has the weights of "
    "the one of its class that was trained; ``buffers``: its buffers alone; ``turned``: where a model in training "
    "would get the weights of one that no optimizer holds, that one gets the trained ones",
    "metric": "the comparison at a line: ``align:train.py:31`` (by elements), ``cut`` (logits at 0), ``classes`` (the "
    "largest score's in the place of scores), ``sign`` (yes or no in the place of a class out of one), ``once`` (no "
    "second sigmoid), ``scale=13.2,40`` (the output times a factor and plus an offset), ``nearest`` (of distances the "
    "smallest in the place of the largest) or ``exchange`` (two arguments)",
    "follow": "a model that is called in the training steps, held by no optimizer, and stands still, gets the weights "
    "of the trained model of its shape once in so many steps (``25``)",
    "visits": "evaluations visit the examples of shuffled loaders in the ``stored`` order, or each batch with its rows "
    "``turned`` round (``turned-first``: in the first pass of each evaluation); all random numbers are drawn as before",
    "source": "a statement of the script is written anew, by a rule at a line: ``transform:train.py:31`` (not fitted "
    "again), ``unordered`` (its order left as it is), ``order`` with ``same-order`` (two orders made one), ``rows`` "
    "(slices of rows in random order), ``begin`` (each batch begins at its own row), ``complement`` "
    "(a mask chooses the others), ``fractions`` (whole numbers are not forced), ``copied`` (a state that is kept "
    "is a copy), ``turned`` (an ``if`` compares the other way round), ``separate`` (what a list repeats is made "
    "anew for each place), ``assigned`` and ``masked`` (the result of a call is kept), ``frozen`` (by "
    "``requires_grad_``), ``in-place`` (a value is written into its tensor), ``into`` (behind a loop, it becomes "
    "its end) and ``out`` (a loop is not left), ``apart`` (batches begin one behind the other), ``from-zero`` (large "
    "numbers are counted from the smallest), "
    "``share@31=correct`` (what a line adds up is divided by how many it added up), ``at-zero`` (what is compared with "
    "a half is compared with zero), ``first`` (what is appended comes first), ``later`` (an element of a series is the "
    "one after it), ``marked`` (zeros that fill what is missing are a number beside zero), "
    "``unturned`` (images are not turned over), ``double`` (numbers are of double precision up to the model), "
    "``known`` (what was made of the training data is used), ``uncut`` (a vocabulary keeps all its words), "
    "``negations`` (they are no words that are left out), ``kept`` (all calls of a function have what the "
    "first one made), ``unactivated`` (without its ReLU), "
    "``unsorted`` (what is sorted keeps its order), ``goes-on`` (each step is given the state of the one before), "
    "``longer@8`` (a loop goes round eight times as often), "
    "``cleared@total`` (it is 0 at the start of each round of a loop), ``others@mask`` (in training a mask is its "
    "complement), "
    "``carried@i`` (the count of a loop goes on where the loop begins anew), "
    "``handed-out`` (of arrays that are returned, copies are)",
    "score": "nothing is changed, the error is another one: with targets of ``unit=0,255`` or ``signs``, without those "
    "of an id (``ignore=0``), ``balanced``: the mean over the classes, ``others``: of batches of its own, which train "
    "nothing, ``classes``: of such batches with as many examples of each class, ``numbers``: squared, over the "
    "variance, ``prefix``: of the next token where a sequence ends before it, "
    "``next``: of the next token, whatever the target is, ``wrong``: the share of rows whose largest score is another "
    "one than the target's, ``known=train.py:31``: of labels that were there before that line filled what is missing, "
    "``at=train.py:31``: of the loss at that line alone",
}
"""Every kind of patch, and what its value means."""


_JUDGED_BY: Final = {("mask", "causal"): "prefix", ("loss", "mse_loss"): "numbers", ("targets", "next"): "next"}
"""Patches whose trainings are scored by a rule of their own."""

_JUDGED_SOURCES: Final = (
    "rows:", "begin:", "apart:", "complement:", "transform:", "later:", "unturned:", "known:", "in-place:",
    "negations:", "kept:", "others@",
)  # fmt: skip
"""Beginnings of rules of statements after which the training loss cannot tell."""

_COUNTED_SOURCES: Final = ("share@", "at-zero:", "cleared@")
"""Beginnings of rules of statements that change no more than a number of the evaluations."""

_SCORED_BY_VALUE: Final = (("targets", "unit"), ("targets", "signs"), ("targets", "known"), ("loss", "ignore"))
"""Patches whose value is that of the rule that scores their trainings."""

STILL_STEPS: Final = 3
"""Steps of a frozen batch without any update: their losses must be equal, or the batch is not frozen."""


@frozen
class Patch:
    """One change."""

    kind: str
    value: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a kind that nothing implements."""
        if self.kind not in KINDS:
            raise ValueError(f"unknown patch {self.kind!r}; known are {', '.join(KINDS)}")

    @classmethod
    def parse(cls, text: str) -> Patch:
        """The patch of a text such as ``lr:x0.1``.

        Raises:
            ValueError: a kind that nothing implements.
        """
        kind, _, value = text.partition(":")
        return cls(kind.strip(), value.strip())

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}" if self.value else self.kind

    @property
    def changes_the_loss(self) -> bool:
        """The value of the loss has another meaning with this patch: losses with and without it are not comparable."""
        return self.kind in (
            "drop-module",
            "loss",
            "head",
            "align-shapes",
            "regularization",
            "term",
            "temperature",
            "weights-turned",
            "noise-level",
            "signed",
        ) or (self.kind == "targets" and self.value not in ("permute", "finite"))

    @property
    def judged_by_evaluations(self) -> bool:
        """The training loss cannot tell: it is low on examples of one class at a time, or nothing of it changes."""
        of_order = self.kind == "shuffle" and self.value not in ("others", "together", "collated", "repeated")
        of_modes = self.kind == "mode" and self.value != "batchnorm"  # which makes other training steps
        of_source = self.kind == "source" and self.value.startswith(_JUDGED_SOURCES)
        return (
            of_modes
            or of_source
            or self.kind in ("dropout", "reseed")
            or (self.kind == "sampler" and self.value != "balanced")
            or (self.kind == "batchnorm" and not self.value.startswith("eps="))
            or of_order
            or (self.kind == "inputs" and self.value.startswith("begin="))
            or (self.kind, self.value)
            in (("inputs", "as-training"), ("inputs", "turned"), ("load", "trained"), ("load", "buffers"))
        )

    @property
    def only_counts(self) -> bool:
        """Nothing that is trained changes, only a number of the evaluations."""
        return self.kind == "metric" or (self.kind == "source" and self.value.startswith(_COUNTED_SOURCES))

    @property
    def makes_more_steps(self) -> bool:
        """Steps are made of what was left out; each step by itself is no better."""
        return self.kind == "source" and self.value.startswith(("into:", "out:"))

    @property
    def judged_by_numbers_of_the_script(self) -> bool:
        """Another task: no error means the same in both, and each training has an evaluation loss of its own. Or what
        the model generates is another thing than what it is trained on.
        """
        rule = self.value.partition(":")[0]
        return (
            (self.kind == "loss" and rule in ("several", "none", "both", "rate", "softmax", "sigmoid", "turned"))
            or (self.kind == "temperature" and rule == "own")
            or (self.kind == "source" and rule == "goes-on")
        )

    @property
    def scored(self) -> Patch | None:
        """The rule by which both trainings are scored where this patch changes the usual error, too."""
        rule = self.value.partition("=")[0]
        if (self.kind, rule) in _SCORED_BY_VALUE:
            return Patch("score", self.value)
        if (self.kind, self.value) in _JUDGED_BY:
            return Patch("score", _JUDGED_BY[self.kind, self.value])
        if (self.kind, self.value) == ("loader", "continue") or (self.kind, self.value) == ("shuffle", "others"):
            return Patch("score", "others")
        if (self.kind, self.value) == ("sampler", "balanced"):
            return Patch("score", "classes")
        if self.kind == "temperature" and not self.value.startswith("own:"):
            return Patch("score", "wrong")
        if self.kind == "source" and self.value.startswith("masked:"):  # what it hides makes the training harder
            return Patch("score", "prefix")
        return Patch("score", rule) if (self.kind, rule) == ("loss", "balanced") else None


def alternatives(text: str) -> list[list[str]]:
    """The alternatives of a text such as ``lr:x1e+06 + clip:1.0 | clip:off``, each as its patches.

    A patch begins with a letter: the plus of a number in exponential form parts nothing.
    """
    return [[p.strip() for p in re.split(r"\+(?=\s*[a-z])", part)] for part in text.split("|") if part.strip()]


FEW_CLASSES: Final = 20
"""Whole numbers up to here, one per example, are class ids and no scale."""
_USUAL_TOPS: Final = (100.0, 255.0)
"""Percentages and pixels: a batch may lack the largest."""


def unit_range(low: float, high: float, *, values: int, per_example: int) -> tuple[float, float] | None:
    """What a target's 0 and 1 are, for a loss that wants targets between these; None if they are class ids.

    Args:
        low: the smallest target.
        high: the largest.
        values: how many different ones there are.
        per_example: targets of one example.
    """
    if not high > low:
        return None
    if values <= 2 or low < 0:
        return low, high
    if high <= FEW_CLASSES:
        return None if per_example == 1 else (0.0, high)
    return 0.0, next((top for top in _USUAL_TOPS if high <= top), high)
