"""Verdicts made by hand: the tests of diagnosis and reports need no real check."""

from __future__ import annotations

from typing import Any

from flightcheck.checks.base import CheckInfo, Finding, Verdict

# code: name, severity, evidence class, as in the catalogue
CHECKS = {
    "C02": ("parameter-without-gradient", "error", "X"),
    "C05": ("dead-units", "error", "T"),
    "C07": ("vanishing-gradient", "warn", "H"),
    "C08": ("exploding-gradient", "error", "T"),
    "C09": ("signal-lost-at-init", "warn", "H"),
    "C10": ("symmetric-initialization", "error", "X"),
    "C11": ("update-ratio-out-of-range", "warn", "H"),
    "C12": ("weights-not-updating", "error", "X"),
    "C13": ("output-collapse", "error", "T"),
    "C03": ("cross-example-leak", "error", "B"),
    "C16": ("output-range-mismatch", "error", "X"),
    "C14": ("non-finite-origin", "critical", "X"),
    "C25": ("train-eval-gap", "error", "T"),
    "C30": ("mode-mistake", "error", "X"),
    "D01": ("non-finite-or-extreme-input", "critical", "X"),
    "D03": ("input-not-normalized", "warn", "H"),
    "D06": ("order-not-shuffled", "error", "T"),
    "D07": ("inputs-and-labels-misaligned", "error", "T"),
    "L03": ("double-softmax", "error", "B"),
    "L07": ("shape-broadcast", "error", "X"),
    "L08": ("target-invalid", "error", "X"),
    "L19": ("ascent-not-descent", "error", "X"),
    "L16": ("plateau-fingerprint", "error", "B"),
    "L17": ("loss-not-connected", "error", "X"),
    "L23": ("only-last-loss", "error", "X"),
    "P01": ("lr-too-high", "error", "T"),
    "P06": ("lr-effectively-zero", "error", "X"),
    "P08": ("parameter-not-in-optimizer", "error", "X"),
    "P10": ("stale-parameter-reference", "error", "X"),
    "P12": ("step-protocol-broken", "error", "X"),
    "P13": ("weight-decay-misapplied", "warn", "H"),
    "P19": ("loss-scale-collapse", "error", "X"),
    "P21": ("accumulation-scale-error", "warn", "B"),
    "P25": ("optimizer-state-lost", "warn", "X"),
    "P26": ("checkpoint-not-loaded", "error", "X"),
    "P33": ("plateau", "warn", "T"),
    "P34": ("instability-or-overfitting", "warn", "T"),
    "S04": ("dress-rehearsal-fails", "error", "X"),
    "S07": ("worse-than-constant", "error", "T"),
    "T01": ("seed-not-set", "info", "X"),
}


def info_of(code: str, **changes: Any) -> CheckInfo:
    name, severity, evidence = CHECKS[code]
    values: dict[str, Any] = {
        "code": code,
        "name": name,
        "severity": severity,
        "evidence": evidence,
        "needs": (),
        "fix": f"The fix of {code}.",
        "preview": False,
        "patch": "",
        "summary": f"The summary of {code}.",
        "documentation": f"The summary of {code}.",
        "parameters": {},
    }
    return CheckInfo(**{**values, **changes})


def failed(code: str, onset: int = 0, message: str = "", **finding: Any) -> Verdict:
    """A check that failed with one finding."""
    text = message or f"The message of {code}."
    return Verdict(info_of(code), "fail", "", (Finding(text, onset_step=onset, **finding),))


def passed(code: str) -> Verdict:
    return Verdict(info_of(code), "pass")


def undecided(code: str, reason: str) -> Verdict:
    return Verdict(info_of(code), "inconclusive", reason)
