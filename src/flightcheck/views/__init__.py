"""Pictures of a network: its structure, what its layers answer to an example, and what its answer rests on.

Each file makes one kind of view, from a copy of a model, as NumPy arrays; ``flightcheck.report.view`` shows them.
"""
