"""Writes docs/checks.md and the index of checks from the checks themselves, in `make docs`; a test compares."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

from flightcheck.checks.base import SECTIONS, CheckInfo
from flightcheck.checks.index import FILE, Description
from flightcheck.checks.registry import all_checks
from flightcheck.cli.explain import EVIDENCE

PAGE = Path(__file__).resolve().parents[1] / "docs" / "checks.md"


def page() -> str:
    """The page in Markdown."""
    infos = [c.info for c in all_checks().values()]
    return "\n".join(_lines(infos)).rstrip("\n") + "\n"


def index() -> str:
    """What `flightcheck.checks.index` reads: a check a line, so that a change shows as one."""
    described = (
        json.dumps(dataclasses.asdict(_description(c.info)), ensure_ascii=False) for c in all_checks().values()
    )
    return "[\n" + ",\n".join(described) + "\n]\n"


def _description(info: CheckInfo) -> Description:
    thresholds = [(name, p.value, p.reason) for name, p in info.parameters.items()]
    return Description(
        info.code, info.name, info.section, info.severity, info.evidence, info.preview, info.summary,
        info.documentation, thresholds,
    )  # fmt: skip


def _lines(infos: list[CheckInfo]) -> Iterator[str]:
    yield "# The checks"
    yield ""
    yield "Written by `make docs` from the text in each check's own file; `flightcheck explain CODE` prints the same."
    yield "A check in preview is shown as advice only and never fails a run."
    for letter, section in SECTIONS.items():
        members = [info for info in infos if info.code[0] == letter]
        if not members:
            continue
        yield from ("", f"## {letter} · {section}", "", "| check | severity | |", "| --- | --- | --- |")
        for info in members:
            yield f"| [{info.code} {info.name}](#{_anchor(info)}) | {_severity(info)} | {_cell(info.summary)} |"
        for info in members:
            yield from ("", *_check(info))


def _check(info: CheckInfo) -> Iterator[str]:
    yield f"### {info.code} {info.name}"
    yield ""
    yield f"Severity {_severity(info)}; evidence: {EVIDENCE[info.evidence]}."
    yield ""
    yield re.sub(r"(?m)^## (.+)\n+", r"\n**\1.** ", info.documentation).replace("\n\n\n", "\n\n")
    if info.parameters:
        yield from ("", "**Thresholds.**", "")
        for name, parameter in info.parameters.items():
            yield f"- `{name}` = {parameter.value:g}: {parameter.reason}"


def _severity(info: CheckInfo) -> str:
    return f"{info.severity}, in preview" if info.preview else info.severity


def _anchor(info: CheckInfo) -> str:
    return f"{info.code} {info.name}".lower().replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    FILE.write_text(index(), encoding="utf-8")
    print(f"{PAGE.name}: {len(all_checks())} checks")
