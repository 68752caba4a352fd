"""What activations can give."""

from __future__ import annotations

import math
from typing import Final

RANGES: Final = {
    "relu": (0.0, math.inf), "softplus": (0.0, math.inf), "exp": (0.0, math.inf), "relu6": (0.0, 6.0),
    "sigmoid": (0.0, 1.0), "hardsigmoid": (0.0, 1.0), "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0),
}  # fmt: skip
"""Smallest and largest value by the name of the operation, in lower case."""
