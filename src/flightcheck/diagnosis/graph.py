"""The table of causes (catalogue section 11.1) as data: which fault explains which other finding, and where.

A row is read "if both fired, the cause not later than the effect, at compatible places, then the effect is folded
under the cause". Effects stand in the order in which they usually appear.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal

from flightcheck.checks.base import Finding
from flightcheck.frozen import frozen

Locus = Literal["fwd", "bwd", "any", "module", "loss"]
"""Where the effect must lie: at or after the cause in execution order, at or before it (gradients travel back),
anywhere, on the same parameters or modules, anywhere because a loss touches all."""


@frozen
class Cause:
    """One row: what a fault explains, where, and on which further condition."""

    code: str
    explains: tuple[str, ...]
    locus: Locus = "any"
    when: Callable[[Finding, Finding], bool] | None = None
    """Called with the finding of the cause and that of the effect."""


def _earlier(cause: Finding, effect: Finding) -> bool:
    """The cause was seen before the effect, not together with it."""
    return cause.onset_step < effect.onset_step


def _not_later(cause: Finding, effect: Finding) -> bool:
    """The effect was not there before the cause."""
    return cause.onset_step <= effect.onset_step


def _at_start(cause: Finding, effect: Finding) -> bool:
    """The cause was there before the first step, so no update can have made it."""
    return cause.onset_step == 0


def _gradient_is_zero(cause: Finding, effect: Finding) -> bool:
    """The gradients are zeros. Numbers on a connected path can cause that; a missing path is another fault."""
    return not missing_path(effect)


def _no_gradient(cause: Finding, effect: Finding) -> bool:
    """Equal units never change, which an output that stands at its limit does to any of them."""
    return effect.evidence.get("gradient") == "zero"


def _never_recovered(cause: Finding, effect: Finding) -> bool:
    """At the end the loss was still that of outputs that are too large."""
    return "late" in cause.evidence


def _never_normalized(cause: Finding, effect: Finding) -> bool:
    """The model's BatchNorm was in eval mode from its construction on: it is another, unnormalized network."""
    return bool(cause.evidence.get("initial"))


def _in_batches(cause: Finding, effect: Finding) -> bool:
    """Classes are numbered anew in each batch of the training."""
    return "fewest" in cause.evidence


def _behind_a_loop(cause: Finding, effect: Finding) -> bool:
    """Backward and step stand behind the loop: of its losses the last one is left, as of its batches."""
    return "loop" in cause.evidence


def _severe(cause: Finding, effect: Finding) -> bool:
    """The cause is told as a fault in this case, not as information."""
    return cause.severity != "info"


def _of_inputs(cause: Finding, effect: Finding) -> bool:
    """The inputs lost something, not the targets."""
    return bool(cause.evidence.keys() & {"minimum", "spacing"})


def _unbounded(cause: Finding, effect: Finding) -> bool:
    """The targets lie outside of what binary cross-entropy has a floor for, and the effect is no climbed term."""
    return "binary" in str(cause.evidence.get("loss", "")) and "coefficient" not in effect.evidence


def _misdirected(cause: Finding, effect: Finding) -> bool:
    """A scheduler is given a number that is not what it takes: the rate is any."""
    return "given" in cause.evidence


_SATURATING: Final = re.compile(r"sigmoid|tanh|softsign", re.IGNORECASE)


def saturating(finding: Finding) -> bool:
    """A finding of C07 names an activation with flat ends: then the activation, not the initialization, is to blame."""
    return any("activation" in key and _SATURATING.search(str(value)) for key, value in finding.evidence.items())


def _from_start(cause: Finding, effect: Finding) -> bool:
    """The gradient was lost before any decay can have done it: where there is none, decay is all that moves weights."""
    return bool(cause.evidence.get("from_start"))


def _came_with_decay(cause: Finding, effect: Finding) -> bool:
    return not effect.evidence.get("from_start")


def _saturates(cause: Finding, effect: Finding) -> bool:
    return saturating(cause)


def _effect_does_not_saturate(cause: Finding, effect: Finding) -> bool:
    return not saturating(effect)


def missing_path(finding: Finding) -> bool:
    """A finding of C02 in which gradients are None, that is: cut off, and not zero."""
    return finding.evidence.get("gradient") == "none" or bool(finding.evidence.get("cut"))


def _row(
    code: str, explains: str, locus: Locus = "any", when: Callable[[Finding, Finding], bool] | None = None
) -> Cause:
    effects = explains.split()
    if "P02" in effects and "P36" not in effects:  # too small steps and too few get equally far
        effects.append("P36")
    return Cause(code, tuple(effects), locus, when)


_FLAT: Final = " L16 S07 P33"
"""What every training that does not learn shows in the end."""

CAUSES: Final[tuple[Cause, ...]] = (
    # Learning rate and schedule
    _row("P01", "C11 C08 C05 C06 C07 C12 C13 C22 C21 P19 P34" + _FLAT),
    _row("P01", "C02", when=_gradient_is_zero),
    _row("P01", "C14", when=_earlier),
    _row("P02", "C11 S01" + _FLAT),
    _row("P36", "C11 S01" + _FLAT, when=_severe),
    _row("P05", "P06 P02 C12 C11" + _FLAT),
    _row("P06", "P02 P20 C12 C11 S01" + _FLAT),
    _row("P41", "P02 P20 C12 C11 S01" + _FLAT),
    _row("P04", "C11 P33"),
    _row("P04", "P01 P02 P06 C08 C12 S01" + _FLAT, when=_misdirected),
    _row("P40", "P33 P34 L16 S07 P02 S01"),
    _row("P42", "P02 P21 P33 P36 L16 C07 C11 C12 S01 S02 S07"),
    _row("P38", "P01 P02 C08 C11 C12 C14 P19 P34 S01" + _FLAT),
    _row("P39", "P02 S01" + _FLAT),
    # Optimizer and protocol
    _row("P12", "P21 C08 C11 C12 P25 P01 P34 C05 C13" + _FLAT),
    _row("P12", "C14", when=_earlier),
    _row("P12", "L23", when=_behind_a_loop),
    _row("P08", "C12 S01" + _FLAT, "module"),
    _row("P10", "P08 C12 C02 S01" + _FLAT),  # the tensors it holds are not those that stand still
    _row("P11", "C12 C02 S01" + _FLAT, "module"),
    _row("P11", "C05 C13", when=_severe),
    _row("P09", "C11"),
    _row("P13", "L15 C05 C11 C13 P02 S01" + _FLAT),
    _row("P13", "C07", when=_came_with_decay),
    _row("P14", "P02 C11 C12 C14 C02" + _FLAT, when=_severe),
    _row("P37", "P02 P01 P13 P14 L15 C11 C12 C13 S01" + _FLAT),
    _row("P17", "P02 C11 C12" + _FLAT),
    _row("P18", "P17 P02 C08 C11 P33"),
    _row("P19", "C12 P33"),
    _row("P20", "P02 C11 C12" + _FLAT),
    _row("P25", "P34"),
    _row("T03", "P34 P06", when=_not_later),
    _row("P28", "P34 D06 P33"),
    _row("P29", "P34 P33"),
    _row("P30", "P34 D06"),
    _row("P32", "C01 C14 P33"),
    # Loss
    _row("L17", "C02 C12", "bwd"),
    _row("L17", "P02 C11 C13 S01" + _FLAT),
    _row("L03", "C07 P02 C11 C13 L01 S01" + _FLAT, "loss"),
    _row("L04", "C07 P02 C11 C13 L01 S01" + _FLAT, "loss"),
    _row("L05", "P34 C22 C14 C08 C07 C13 L01 S01" + _FLAT, "loss"),
    _row("L06", "S01 C13 C03 C07 L01" + _FLAT, "loss"),
    _row("L07", "S01 C13 C07 L01" + _FLAT, "loss"),
    _row("L08", "S01 C13 C07 C14 L01" + _FLAT, "loss"),
    _row("L09", "S01 C13 L01" + _FLAT, "loss"),
    _row("L12", "S01 C13 C07 C06 P02 L01" + _FLAT, "loss"),
    # Targets outside of [0, 1] take the floor from binary cross-entropy
    *(_row(code, "L19 C08", "loss", _unbounded) for code in ("L08", "L12")),
    _row("L20", "S01 L01 P02 T08 C04" + _FLAT, "loss"),
    _row("C16", "S01 C13 C07 C06 P02 L01" + _FLAT, "loss"),
    _row("C16", "C05", "loss"),
    _row("C16", "C10", "loss", _no_gradient),
    *(_row(code, "C02", "loss", _gradient_is_zero) for code in ("L03", "L04", "L05", "L07", "L08", "L12", "C16")),
    # Outputs too large from the start: the gradients are too, and until they are small nothing else is learnt
    _row("L01", "P01 C08 C11 C13 C05 C06 S07"),
    _row("L01", "C07 P02 S02 L16 P33", when=_never_recovered),
    _row("L10", "C11 C08 P17 P01 P02 L01", "loss"),
    _row("L11", "C11 C08 P17 P01", "loss"),
    _row("P21", "C11 C08 P17 P01", "loss"),
    _row("P21", "C05 C06 C12 C13 P34" + _FLAT, when=_severe),  # steps so many times too large
    _row("P31", "C11 C08 P17 P01", "loss"),
    _row("L13", "S01 S02 S05 C11 C13 P02" + _FLAT),
    _row("L21", "C02 C12", "module"),
    _row("L21", "S01 S02 C11 C13 P02 L13" + _FLAT),
    _row("L17", "L21", "module"),
    _row("L15", "S05 C11 C13" + _FLAT),
    _row("L19", "P01 P02 C08 C11 C05 C13 C22 P34 S01 S02 L13 L15" + _FLAT, "loss"),
    _row("L22", "L09 P02 C13 P34 S07 P33"),
    _row("L24", "L01 C07 C11 C13 P02 L13 S01 S02" + _FLAT),
    _row("L30", "L01 C07 C11 L13 L15 P02 P13 P33 P36 S01 S02" + _FLAT),
    _row("L29", "L01 C07 C11 C13 P02 L13 S01 S02" + _FLAT),
    _row("L27", "L01 C07 C11 C13 P02 L13 S01 S02" + _FLAT),
    _row("L26", "L01 L13 P01 P02 P34 C13 S01 S02" + _FLAT, "loss"),
    _row("L25", "P01 P02 P34 C13 S01 S02 L13" + _FLAT, "loss"),
    _row("L23", "C02 C12 D06 D21 C13 P01 P02 P34 S01 S02" + _FLAT),
    _row("L19", "C14", "loss", _earlier),
    # Connections
    _row("C02", "C12", "module"),
    _row("C02", "P02 C11 S01 S02" + _FLAT),
    _row("C23", "C02", "module", _gradient_is_zero),  # a matrix that zeros alone are multiplied with
    _row("C10", "C05 C07 C09 C12 C13", "fwd"),
    _row("C10", "C07 C09 C12", "bwd"),
    _row("C10", "P02 C11 S01 S02 L01" + _FLAT),
    _row("C10", "C02", when=_gradient_is_zero),
    _row("C09", "C05 C13", "fwd"),
    _row("C09", "C07", when=_effect_does_not_saturate),
    _row("C09", "C08 C11 C12 S01 S02 L01 P02" + _FLAT),
    _row("C09", "C02", when=_gradient_is_zero),
    _row("C09", "P01", when=_at_start),
    _row("C05", "C07 C12", "bwd"),
    _row("C05", "C02", "bwd", _gradient_is_zero),
    _row("C05", "C13", "fwd"),
    _row("C05", "C11 S01 S02" + _FLAT),
    _row("C36", "C02 C12 L13 L15 S01 S02 C13 P02" + _FLAT),
    _row("C40", "C02 C12 C03 C04 C13 S01 S02 P02" + _FLAT),
    _row("C15", "C07 S01 S02 C13 P01 P02" + _FLAT),
    # Another model than the code seems to say
    *(_row(code, "C02 C07 C09 C11 C13 C15 C25 L21 P01 P02 S01 S02" + _FLAT) for code in ("C37", "C38", "C39")),
    _row("C37", "P09 P12 P25"),
    _row("C06", "C07 C12", "bwd"),
    _row("C06", "C13 P33"),
    _row("C07", "C09", when=_saturates),
    _row("C07", "C12", "bwd"),
    _row("C07", "C02", "bwd", _gradient_is_zero),
    _row("C07", "P02 C11 C13 S01 S02" + _FLAT),
    _row("C07", "P13 L15", when=_from_start),
    _row("C08", "C11 P19 P34"),
    _row("C08", "C14", when=_earlier),
    _row("C14", "C08 P01", when=_not_later),
    _row("C14", "C12 P19 C11 C13 C05 C06 C02 C07 C25 S01 P34" + _FLAT),
    # Torn data and activations: whatever is learnt from them, and that outputs depend on other examples
    _row("C32", "C03 C04 D07 L06 S01 S02 C13 C25 P01 P02 P34" + _FLAT),
    _row("C03", "C25", "module"),
    _row("C23", "S01 S02 C13 C25 P02" + _FLAT),
    _row("C33", "S01 S02 C13 C25 P02" + _FLAT),
    _row("L28", "C02 C11 C12 C13 L16 S01 S02 P01 P02 P33 P34" + _FLAT),
    _row("C45", "C05 C07 C11 C12 C13 L16 S01 S02 P01 P02 P33 P34 C02" + _FLAT, when=_severe),
    _row("C44", "C07 C11 C13 C02 C12 S01 S02 P01 P02 P34 L01" + _FLAT, when=_severe),
    _row("C04", "S06 L01 T08"),
    _row("C18", "L01 P33"),
    _row("P26", "L01 P02 P33"),
    _row("P27", "C25 P34 S07"),
    _row("T12", "P34", when=_severe),
    _row("C30", "C25 C27 P34"),
    _row("C30", "C05 C07 C08 C09 C10 C11 C12 C13 P01 P02 S01" + _FLAT, when=_never_normalized),
    _row("C27", "C25 P34"),
    _row("C34", "C25 S07 P34", when=_severe),
    _row("C28", "C25 P34"),
    _row("C41", "C25 C27 S07 P34"),
    _row("C42", "C02 C05 C07 C09 C12 C13 S01 S02 D02 P02 C25" + _FLAT, when=_severe),
    _row("C26", "C25 P34"),
    _row("P35", "S05 C25 C26 S07 P34 P33 P02", when=_severe),
    # Data
    _row("D01", "C14 C08 P01 P19 C12 C11 C13 C05 P34" + _FLAT),
    *(
        _row(code, "L01 C06 C09 P01 C05 C08 C11 C13 C07 C12 C14 S01 S02 P34" + _FLAT, "fwd")
        for code in ("D03", "D15", "D18")
    ),
    *(_row(code, "C02", "fwd", _gradient_is_zero) for code in ("D03", "D15", "D18")),
    _row("D15", "D02 D03", when=_of_inputs),
    _row("D05", "S07 C13 C27 C25 P34 P33"),
    _row("D06", "S07 C13 C27 C25 P34 L16 P33 P01 C05"),
    _row("D07", "S02 C13 P34" + _FLAT),
    *(_row(code, "S06 L01 T08") for code in ("D08", "D09", "D19")),
    _row("D02", "D05 C13 S01 S02 P34" + _FLAT, when=_severe),
    *(_row(code, "C25 P34") for code in ("D04", "D12", "D16")),
    _row("D04", "D16"),  # inputs that mean another class
    _row("L09", "C02", "loss", _gradient_is_zero),
    _row("D16", "D07 S02 P01 P02 C13" + _FLAT, when=_in_batches),
    _row("D21", "D02 D05 D06 D10 C05 C13 C25 C27 S07 P01 T09 P34" + _FLAT, when=_severe),
    _row("D10", "C13" + _FLAT, when=_severe),
    _row("D25", "C13 P01 P02 P34 S02 S07" + _FLAT, when=_severe),
    _row("D24", "C13 P34 S07" + _FLAT),
    _row("C43", "C13 C25 P01 P02 P34 S01 S02 S07 D02" + _FLAT),
    _row("D13", "P34"),
    _row("D22", "D02 D05 D06 D21 S07 C05 C13 C25 C27 T09 P34 P33 T01"),
    _row("D26", "C13 P01 P02 P34 S01 S02 L13 D02" + _FLAT),
    _row("D28", "D04 C25 P34 S07 T09 T12 D16"),
    _row("D27", "C02 C03 C33 C12 C13 P01 P02 P34 S01 S02" + _FLAT),
    _row("D23", "D02 D03 D04 D05 D15 L01 C05 C07 C13 C25 C27 S01 S02 P01 P02 P34" + _FLAT),
    _row("D17", "L16 P02 P34 P33 S07"),
    # Symptoms that explain other symptoms: so that a fault without a known cause is still told once
    _row("C12", "C11 S01" + _FLAT),
    _row("C13", "L16 S07 P33"),
    _row("S02", "C13 P01 P02" + _FLAT),
    _row("S01", "S02 C13" + _FLAT),
    _row("S07", "L16 P33"),
    _row("L16", "P33"),
    _row("C20", "C14 C13 S01 S02" + _FLAT, when=_severe),
    _row("C25", "P34"),
    _row("C25", "S02", when=_severe),  # tried on the script's evaluation
)

SYMPTOMS: Final = frozenset({"C07", "C11", "C12", "C13", "C25", "L16", "P33", "P34", "S01", "S02", "S07"})
"""What a fault looks like, never what it is. C07 is one only while something that causes it fired too."""

CAUSES_OF_VANISHING: Final = frozenset({"C05", "C09", "C15"})

MAY_FOLD_UNDER_HEURISTIC: Final = frozenset({"C02", "C12", "C14"})
"""Exact facts that are symptoms: they may be folded under a heuristic cause. C02 only where gradients are zero."""

CRASHES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (r"does not require grad|grad_fn", ("L17", "C02")),
    (r"second time|inplace operation", ("P12", "C23")),
    (r"more than 1 value per channel", ("S04",)),
    (r"\bnan\b|\binf\b|non-?finite|isnan|isfinite|infinit", ("C14", "D01", "P01", "C08")),
    (r"out of (bounds|range)|device-side assert|ignore_index|between 0 and 1", ("L08", "L06", "D20", "C16")),
    (r"shape|size|dimension", ("L07", "L06", "D14")),
    (r"dtype|scalar type|expected .*(float|long|double|half)", ("D15", "L08", "L06", "L05")),
    (r"empty parameter list|not enough values", ("P08", "P11")),
)
"""A pattern in the exception that ended a script, and the faults that lead to such an exception."""
