"""All checks, found by walking this folder: adding a file adds a check."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from functools import cache

from flightcheck import checks
from flightcheck.checks.base import AnyCheck, Verdict, run_check
from flightcheck.errors import UsageError
from flightcheck.recording.run import Run
from flightcheck.recording.sides import Sides


@cache
def all_checks() -> dict[str, type[AnyCheck]]:
    """Every check by code, in the order of the codes.

    Raises:
        ValueError: two files declare the same code.
    """
    found: dict[str, type[AnyCheck]] = {}
    for name in _modules():
        for value in _checks_in(name):
            code = value.info.code
            if found.get(code, value) is not value:
                raise ValueError(f"{code} is declared in {found[code].__module__} and in {value.__module__}")
            found[code] = value
    return dict(sorted(found.items()))


def _modules() -> Iterator[str]:
    for package in pkgutil.iter_modules(checks.__path__, checks.__name__ + "."):
        if package.ispkg:
            folder = importlib.import_module(package.name)
            yield from (m.name for m in pkgutil.iter_modules(folder.__path__, package.name + "."))


def _checks_in(name: str) -> Iterator[type[AnyCheck]]:
    for value in vars(importlib.import_module(name)).values():
        if isinstance(value, type) and issubclass(value, AnyCheck) and "info" in vars(value):
            yield value


def select_checks(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> list[type[AnyCheck]]:
    """The checks whose code starts with one of `select` (all if empty) and with none of `ignore`.

    Raises:
        UsageError: a code that no check has.
    """
    known = all_checks()
    for wanted in (*select, *ignore):
        if not any(code.startswith(wanted.upper()) for code in known):
            raise UsageError(f"unknown check {wanted!r}; 'flightcheck list' shows all {len(known)} codes")
    chosen = tuple(s.upper() for s in select) or ("",)
    dropped = tuple(s.upper() for s in ignore)
    return [c for code, c in known.items() if code.startswith(chosen) and not (dropped and code.startswith(dropped))]


def run_checks(run: Run, select: Iterable[str] = (), ignore: Iterable[str] = ()) -> list[Verdict]:
    """The verdict of every selected check of single runs on a run."""
    return [run_check(c, run) for c in select_checks(select, ignore) if not c.info.compares]


def run_comparison_checks(sides: Sides) -> list[Verdict]:
    """The verdict of every check that compares runs."""
    return [run_check(c, sides) for c in all_checks().values() if c.info.compares]
