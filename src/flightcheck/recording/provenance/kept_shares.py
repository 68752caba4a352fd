"""Dropout that is made with a number which the script calls the share to keep."""

from __future__ import annotations

import ast

from flightcheck.recording.provenance.source import last_name, read_source


def names_kept_share(file: str) -> bool:
    """``nn.Dropout(keep_prob)``, and not ``nn.Dropout(1 - keep_prob)``."""
    try:
        source = read_source(file)
        made = [c for c in source.calls if "dropout" in last_name(c.func).lower()] if source is not None else []
        given = [a for c in made for a in (*c.args, *(k.value for k in c.keywords))]
        return any(isinstance(a, ast.Name | ast.Attribute) and "keep" in last_name(a).lower() for a in given)
    except Exception:  # the promise of this package: odd sources have no answer, and are no error
        return False
