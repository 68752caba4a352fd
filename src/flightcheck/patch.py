"""A change to a training as data: one word of what is changed, and to what.

A patch acts at a boundary that every training has (the batch source, the inputs of the model, the loss call, the
outputs of modules, the optimizer's step), never on the source: the same patch works for every style of code. Its text
form, ``kind`` or ``kind:value``, stands in findings, records and reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KINDS: Final[dict[str, str]] = {
    "lr": "the learning rate at each step: a factor (``x0.1``) or a value (``0.001``)",
    "optimizer": "another optimizer makes the steps: ``Adam(0.001)``, ``SGD(0.01)``",
    "scheduler": "``off``: the learning rate stays at that of the first step",
    "clip": "the largest norm of all gradients together (``1.0``), or ``off``: the script's own clipping does nothing",
    "regularization": "``off``: weight decay, dropout and label smoothing are zero; or one of them by name",
    "freeze-batch": "the first rows of the first batch (``8``), again and again, tiled to the shape of each batch",
    "shuffle": "loaders that read a data set in its order read it in a random one, anew in each pass",
    "inputs": "``zero``, ``permute`` (rows across the batch) or ``standardize`` (with the first batches' statistics)",
    "targets": "``permute`` (rows across the batch), ``standardize``, ``shift-1`` (class ids lowered by one), or "
    "``unshift`` (the next token, where the target is the one after it)",
    "drop-module": "``softmax`` or ``sigmoid``: the loss is given what that activation was given",
    "swap-activation": "``relu`` in the place of each saturating activation between layers",
    "insert-norm": "the outputs of hidden layers are normalized over their features: ``layer``",
    "loss": "another loss function: ``cross_entropy`` or ``bce_with_logits``; another reduction: ``mean``; "
    "``negate``; or ``transpose``: the last axis of the prediction is that of the classes",
    "align-shapes": "prediction and target are given the same shape before they are compared",
    "reinit": "matrices are drawn anew: ``default`` (of their layer), ``xavier`` or ``kaiming``; biases zero",
    "precision": "``float32``: automatic mixed precision is off; ``master``: the optimizer steps on float32 copies of "
    "weights that are stored in 16 bits",
    "epsilon": "the optimizer's epsilon: ``1e-8``",
    "zero-grad": "gradients are cleared after each step, and never before it",
    "step": "the optimizer of this number (``1``), which never steps, steps after each backward for it",
    "keep-state": "an optimizer that is built anew goes on with the state of the one before",
    "add-parameters": "the optimizer also holds the parameters of the called models that no optimizer holds",
    "unfreeze": "the parameters of a module (``model.head``) get gradients, and its model's optimizer holds them",
    "keep-graph": "``detach``, ``data``, ``item`` and copies give the tensor itself, ``sample`` is ``rsample``, "
    "``no_grad`` does nothing; at a line (``train.py:31``) or at all",
    "clamp": "logarithms, roots and divisions are kept away from zero by this much: ``1e-8``",
    "mode": "``train`` in training steps and ``eval`` in evaluations, whatever the script set",
    "probe": "nothing is changed, something is measured: ``neighbours``, ``leaks``, ``gradients``, ``modes`` or "
    "``terms``",
    "last-step": "``lengths``: the last output of padded sequences is read at the end of each, not at the padding",
    "unscale-first": "gradients are unscaled before they are clipped",
}
"""Every kind of patch, and what its value means."""


STILL_STEPS: Final = 3
"""Steps of a frozen batch without any update: their losses must be equal, or the batch is not frozen."""


@dataclass(frozen=True)
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
        return self.kind in ("drop-module", "loss", "align-shapes", "regularization") or (
            self.kind == "targets" and self.value in ("standardize", "shift-1", "unshift")
        )
