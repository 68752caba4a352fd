"""Folds verdicts into root causes."""

from flightcheck.diagnosis.engine import DiagnosedFinding, Diagnosis, diagnose

__all__ = ["DiagnosedFinding", "Diagnosis", "diagnose"]
