"""Programs from templates: a template is a training with marked places, an injection replaces a few of them.

A line of a template that ends in ``#: name`` belongs to the place of that name (or of several: ``#: name other``);
adjacent lines of one name are one place. A place whose replacement is empty is taken out.
In the replacement of a place, lines that end in ``#!`` are the faulty ones; where none does, all replaced lines are.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ARCHITECTURES = ("mlp", "cnn", "lstm", "transformer")
FAMILIES = {
    "1": ("P01", "C09", "D03"),
    "2": ("P02", "L03", "P20", "P14"),
    "3": ("L07", "D07", "C13"),
    "4": ("C30", "C27", "C28", "D04", "overfitting"),
    "5": ("P08", "P10", "L17", "P06"),
}
"""End of section 11.2 of the catalogue."""

_MARK = re.compile(r"\s*#: (?P<places>\w+(?: \w+)*)$")
_FAULTY = re.compile(r"\s*#!$")


@dataclass(frozen=True)
class Line:
    """A line of a program, the places it belongs to, and whether it is to blame."""

    text: str
    places: frozenset[str] = frozenset()
    faulty: bool = False


@dataclass(frozen=True)
class Program:
    """A training whose truth is known."""

    name: str
    architecture: str
    member: str
    """The member of the family; "healthy" for a control."""
    family: str
    causes: tuple[str, ...]
    """Codes of which each is a right answer; none where silence is."""
    lines: tuple[int, ...]
    text: str
    twin: str
    """The same training without the fault."""
    note: str


def _parse(text: str) -> list[Line]:
    lines = []
    for raw in text.splitlines():
        faulty = bool(_FAULTY.search(raw))
        line = _FAULTY.sub("", raw)
        found = _MARK.search(line)
        code = _MARK.sub("", line)
        if found and not code.strip():
            code = line[: line.index("#:")]  # nothing stands here yet: the mark has the indentation
        lines.append(Line(code, frozenset(found["places"].split() if found else ()), faulty))
    return lines


def _replace(lines: list[Line], place: str, replacement: str, blame: bool) -> list[Line]:
    """The lines with one place replaced; if `blame`, the new lines are to blame unless some are marked."""
    at = [i for i, line in enumerate(lines) if place in line.places]
    if not at:
        raise ValueError(f"no place named {place!r}")
    if at != list(range(at[0], at[-1] + 1)):
        raise ValueError(f"the place {place!r} is in more than one part")
    text = lines[at[0]].text
    indent = " " * (len(text) - len(text.lstrip()))
    new = _parse(textwrap.indent(textwrap.dedent(replacement).strip("\n"), indent))
    if blame and not any(line.faulty for line in new):
        new = [Line(line.text, line.places, faulty=True) for line in new]
    return lines[: at[0]] + new + lines[at[-1] + 1 :]


def _text(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines) + "\n"


def _program(name: str, architecture: str, entry: dict[str, Any], base: list[Line], seed: str) -> Program:
    places: dict[str, str] = entry.get("places", {})
    marked = any(_FAULTY.search(line) for text in places.values() for line in text.splitlines())
    lines = base
    for place, replacement in places.items():
        lines = _replace(lines, place, replacement, blame=not marked)
    also = set(entry.get("also", []))
    blamed = [i for i, line in enumerate(lines, 1) if line.text.strip() and (line.faulty or line.places & also)]
    twin = base
    for place, replacement in entry.get("twin", {}).items():
        twin = _replace(twin, place, replacement, blame=False)
    member = entry["member"]
    return Program(
        name=name,
        architecture=architecture,
        member=member,
        family=next((f for f, members in FAMILIES.items() if member in members), ""),
        causes=tuple(entry.get("causes", [] if member in ("healthy", "overfitting") else [member])),
        lines=tuple(blamed) if member not in ("healthy", "overfitting") else (),
        text=_tidy(_seeded(_text(lines), seed)),
        twin=_tidy(_seeded(_text(twin), seed)),
        note=entry.get("note", ""),
    )


def _seeded(text: str, seed: str) -> str:
    return re.sub(r"(?i)\bseed(: int)? ?= ?0\b", lambda m: m[0][:-1] + seed, text) if seed != "0" else text


def _tidy(text: str) -> str:
    """Without blanks at the ends of lines; line numbers stay."""
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def programs(seed: int = 0) -> list[Program]:
    """All programs, in the order of their names."""
    made = []
    for architecture in ARCHITECTURES:
        template = _parse((FOLDER / "templates" / f"{architecture}.py").read_text())
        data = tomllib.loads((FOLDER / "injections" / f"{architecture}.toml").read_text())
        variants: dict[str, list[Line]] = {"": template}
        for name, places in data.get("variant", {}).items():
            lines = template
            for place, replacement in places.items():
                lines = _replace(lines, place, replacement, blame=False)
            variants[name] = lines
        entries = data["program"] + [{"member": "healthy", "variant": v, "note": v} for v in variants]
        for number, entry in enumerate(entries, 1):
            base = variants[entry.get("variant", "")]
            try:
                made.append(_program(f"{architecture}_{number:02d}", architecture, entry, base, str(seed)))
            except ValueError as error:
                raise ValueError(f"{architecture}, {entry['member']}: {error}") from None
    return made
