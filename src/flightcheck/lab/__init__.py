"""Experiments: the same training with one thing changed, beside itself without the change."""
