"""Records of what a run began with: enough to start it again in the same way, from the same code and random numbers."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS


@frozen
class Invocation:
    """How the script was started."""

    script: str = ""
    """As it was given; empty for a module."""
    module: str = ""
    arguments: list[str] = field(default_factory=list)
    """The script's own, without what looks like a secret."""
    hidden: list[int] = field(default_factory=list)
    """Positions of the arguments of which something was left out."""
    folder: str = ""
    """The current folder, absolute."""
    python_path: list[str] = field(default_factory=list)
    """Entries of ``PYTHONPATH``."""


@frozen
class CodeState:
    """What git knew of the code: a commit, and all that differed from it."""

    root: str = ""
    """The repository's folder, absolute."""
    commit: str = ""
    branch: str = ""
    """Empty for a detached head."""
    changed: list[str] = field(default_factory=list)
    """Tracked files that differ from the commit, relative to the root."""
    patch: str = ""
    """From the commit to them, as ``git apply`` takes it; without the files in `left_out`."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Changed files that are not part of the patch, with the reason."""
    unknown: str = ""
    """Why git could not be asked, or not for all."""


@frozen
class WorkingFolder:
    """The files in the current folder when the run began, which a script may read by a relative path."""

    files: dict[str, list[float]] = field(default_factory=dict)
    """Size in bytes and time of change in seconds, by relative path."""
    complete: bool = True
    """False where there were more than are kept: what is not named may have been there all the same."""


@frozen
class RandomStates:
    """The states of the global random generators when the script began: also an unseeded script draws from them."""

    python: str = ""
    """Base64 of packed 32-bit words: version, state, and whether a normal number is waiting."""
    numpy: str = ""
    torch: str = ""


@frozen
class FreshGenerators:
    """Generators of NumPy that the script made without a seed, in order."""

    entropies: list[str] = field(default_factory=list)
    """What the operating system gave each as its seed, in decimal digits."""
    more: int = 0
    """How many more there were."""


@frozen
class Machine:
    """What computed the numbers, beneath the packages."""

    processor: str = ""
    cores: int = 0
    instructions: str = ""
    """The instruction set for which PyTorch chose its kernels."""
    torch_build: str = ""
    """Commit and options of the PyTorch that was used."""
    devices: list[str] = field(default_factory=list)
    """Accelerators that the process used."""
    driver: str = ""


RECORDS.update({c.__name__: c for c in (Invocation, CodeState, WorkingFolder, RandomStates, FreshGenerators, Machine)})
