"""What of a run's surroundings is not the same today: packages, Python, PyTorch's build and switches, device, data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from flightcheck.recording.run import Run
from flightcheck.recording.starting_point import FreshGenerators, Machine, RandomStates
from flightcheck.recording.surroundings import Environment
from flightcheck.tracking.code import packages
from flightcheck.tracking.environment import environment_of
from flightcheck.tracking.values import used_packages

DEVICE_CHOICE: Final = "CUDA_VISIBLE_DEVICES"
"""A variable that is not taken over: it numbers the devices of another machine."""


def before(run: Run) -> tuple[list[str], list[str]]:
    """What can be compared before anything runs: what is the same, and what differs, in words."""
    same, differences = [], []
    used, now = used_packages(run), packages()
    other = [f"{n} {v} → {now.installed.get(n, 'not installed')}" for n, v in used.items() if now.installed.get(n) != v]
    if used and not other:
        same.append(f"{len(used)} packages in use")
    differences += other
    there, here = run.environment, environment_of(None)
    if there is not None:
        for name in ("python", "platform"):
            one, another = getattr(there, name), getattr(here, name)
            if one == another:
                same.append(f"{name} {one}" if name == "python" else name)
            else:
                differences.append(f"{name} {one} → {another}")
        one, another = there.variables.get(DEVICE_CHOICE), here.variables.get(DEVICE_CHOICE)
        if one != another:
            differences.append(f"{DEVICE_CHOICE} {one or 'not set'} → {another or 'not set'}")
    return same, differences


def variables(there: Environment | None, environment: dict[str, str]) -> dict[str, str]:
    """An environment in which the variables that change numbers are as they were recorded."""
    if there is None:
        return environment
    known = environment_of(None).variables.keys() | there.variables.keys()
    result = {k: v for k, v in environment.items() if k not in known or k == DEVICE_CHOICE}
    return result | {k: v for k, v in there.variables.items() if k != DEVICE_CHOICE}


def after(run: Run, again: Run) -> tuple[list[str], list[str]]:
    """What only the second run could tell: the processor and the build of PyTorch."""
    one, other = run.recorded(Machine), again.recorded(Machine)
    if not one or not other:
        return [], []
    found = list(_fields(one[0], other[0]))
    return ([], found) if found else (["processor", "PyTorch's build"], [])


def _fields(one: object, other: object) -> Iterator[str]:
    for f in fields(one):  # type: ignore[arg-type]
        a, b = getattr(one, f.name), getattr(other, f.name)
        if a != b:
            yield f"{f.name.replace('_', ' ')} {_text(a)} → {_text(b)}"


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value) if value not in ("", None) else "none"


# -- random numbers -------------------------------------------------------------------------------------------------


def unseeded(run: Run) -> list[str]:
    """The generators that the run used without a seed of its own."""
    seeding = run.seeding
    found = [g for g in ("numpy", "torch") if seeding and g in seeding.used and g not in seeding.seeded]
    fresh = run.recorded(FreshGenerators)
    return [*found, *(["numpy's default_rng()"] if fresh else [])]


def random_numbers(run: Run) -> list[str]:
    """Where the script's random numbers come from, and what follows for the repetition; before anything runs."""
    if run.seeding is None:
        return ["it is not known which random generators were used"]
    told = []
    seeds = ", ".join(f"{name} {value}" for name, value in run.seeding.values.items())
    if seeds:
        told.append(f"seeded by the script: {seeds}")
    missing = unseeded(run)
    if missing:
        known = bool(run.recorded(RandomStates))
        told.append(
            f"not seeded by the script: {', '.join(missing)}. "
            + ("The recorded states are put back here; started by hand, the script gives other numbers each time"
               if known else "Their states were not recorded: the curve can be the same within noise at best")
        )  # fmt: skip
    fresh = run.recorded(FreshGenerators)
    if fresh and fresh[0].more:
        told.append(f"{fresh[0].more} generators more were made without a seed than are recorded: theirs are others")
    return told or ["no global random generator was used"]


def moving_seeds(run: Run, again: Run) -> list[str]:
    """Seeds that are not the same although the start is: taken from the clock, say."""
    if run.seeding is None or again.seeding is None:
        return []
    one, other = run.seeding.values, again.seeding.values
    return [f"the script seeds {n} with another number each time ({one[n]} → {other[n]})"
            for n in one if n in other and one[n] != other[n]]  # fmt: skip


def hash_order(run: Run) -> str:
    """Why sets of texts may have another order; empty if they cannot."""
    there = run.environment.variables if run.environment is not None else {}
    if there.get("PYTHONHASHSEED", "random") == "random":
        return "PYTHONHASHSEED was not set, so a set of texts has another order in every process"
    return ""
