"""Sends recorded runs to the trackers that people already use. One file per tracker; all are fed from the run file.

run file → `reader` (new points) and `contents` (what is known at the end) → `sending` (retries, remembers) → a tracker.
"""
