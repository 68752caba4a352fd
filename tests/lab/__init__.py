"""Experiments: their statistics, patches, and the ways trials are run."""
