"""Run a script as it is, with other seeds: ``python seeded.py OFFSET SCRIPT``. Each seed that it sets is raised by OFFSET."""

from __future__ import annotations

import random
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


def raised(seeding: Callable[..., Any], offset: int) -> Callable[..., Any]:
    """The same function, with a seed that is raised."""
    return lambda seed, *rest, **named: seeding(int(seed) + offset, *rest, **named)


if __name__ == "__main__":
    by, script = int(sys.argv[1]), Path(sys.argv[2])
    torch.manual_seed = raised(torch.manual_seed, by)
    np.random.seed = raised(np.random.seed, by)
    random.seed = raised(random.seed, by)
    sys.argv = [str(script)]
    sys.path[0] = str(script.parent)
    runpy.run_path(str(script), run_name="__main__")
