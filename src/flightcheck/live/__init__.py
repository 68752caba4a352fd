"""A training looked at while it goes on: from a process of its own, which reads the run file."""
