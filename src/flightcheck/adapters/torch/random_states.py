"""The states of the global random generators as text, and back: reading them draws nothing."""

from __future__ import annotations

import base64
import random
import struct
from typing import Any

import numpy as np
import torch

from flightcheck.recording.starting_point import RandomStates


def random_states() -> RandomStates:
    """The states now."""
    version, words, waiting = random.getstate()
    python = struct.pack(f"<H{len(words)}Id?", version, *words, waiting or 0.0, waiting is not None)
    found: Any = np.random.get_state()
    name, key, position, has_gauss, gauss = found
    numpy = b""
    if name == "MT19937":
        numpy = struct.pack(f"<{len(key)}IiId", *map(int, key), int(position), int(has_gauss), float(gauss))
    return RandomStates(_text(python), _text(numpy), _text(torch.get_rng_state().numpy().tobytes()))


def restore(states: RandomStates) -> None:
    """Put recorded states back; a generator of which none is recorded keeps its own.

    Raises:
        ValueError: the text is no state of this version of Python, NumPy or PyTorch.
    """
    try:
        if states.python:
            data = base64.b64decode(states.python)
            count = (len(data) - struct.calcsize("<Hd?")) // 4
            version, *words, gauss, waits = struct.unpack(f"<H{count}Id?", data)
            random.setstate((version, tuple(words), gauss if waits else None))
        if states.numpy:
            data = base64.b64decode(states.numpy)
            count = (len(data) - struct.calcsize("<iId")) // 4
            *key, position, has_gauss, gauss = struct.unpack(f"<{count}IiId", data)
            np.random.set_state(("MT19937", np.array(key, dtype=np.uint32), position, has_gauss, gauss))
        if states.torch:
            data = base64.b64decode(states.torch)
            torch.set_rng_state(torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy()))
    except (struct.error, TypeError, RuntimeError) as e:
        raise ValueError(f"the recorded state of the random generators cannot be used here ({e})") from e


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
