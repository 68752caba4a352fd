"""Adapters turn a framework's objects into records. They know `flightcheck.recording` and nothing else of us."""
