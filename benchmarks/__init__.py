"""Measurements of the diagnosis. They know Flightcheck only by its command line."""
