"""What can only be measured where nothing has to go on afterwards: in the process of a trial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flightcheck.adapters.torch.patching.boundaries import Boundaries
from flightcheck.adapters.torch.probes import gradients, leaks, modes, neighbours, terms
from flightcheck.patch import Patch

_PROBES: Final[dict[str, Callable[[Boundaries, Patch], None]]] = {
    "neighbours": neighbours.install,
    "leaks": leaks.install,
    "gradients": gradients.install,
    "modes": modes.install,
    "terms": terms.install,
}


def install(boundaries: Boundaries, patch: Patch) -> None:
    """Put a probe in; what it measured is written when the trial ends."""
    _PROBES[patch.value](boundaries, patch)
