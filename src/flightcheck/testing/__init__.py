"""For tests of checks, of ours and of yours: build a run in a few lines, ask one check for its verdict."""

from flightcheck.testing.runs import run_of, verdict_of

__all__ = ["run_of", "verdict_of"]
