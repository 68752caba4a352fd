"""Faults that people make, each a function from a program to its faulty versions."""

from __future__ import annotations

from benchmarks.mutants.mutators import data, models, outputs, training
from benchmarks.mutants.mutators.registered import MUTATORS, Mutator

__all__ = ["MUTATORS", "Mutator", "data", "models", "outputs", "training"]
