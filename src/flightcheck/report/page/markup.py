"""Elements of HTML. A plain string is always escaped; only what was built here counts as markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final

from flightcheck.report.terminal import plain

_VOID: Final = frozenset({"br", "hr", "img", "input", "link", "meta"})
LONGEST_LABEL: Final = 90
"""Characters of a user's name in a label; the middle of a longer one is left out."""


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | Html | None | Iterable["Child"]
Attribute = str | int | float | bool | None


def element(tag: str, *children: Child, **attributes: Attribute) -> Html:
    """One element. ``class_`` stands for ``class``, ``data_x`` for ``data-x``; None and False leave one out."""
    told = []
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        key = name.rstrip("_").replace("_", "-")
        told.append(f" {key}" if value is True else f' {key}="{html.escape(plain(str(value)))}"')
    start = f"<{tag}{''.join(told)}>"
    return Html(start if tag in _VOID else f"{start}{joined(children)}</{tag}>")


def joined(children: Iterable[Child]) -> Html:
    """Children one after the other; None is nothing."""
    return Html("".join(_text(c) for c in children))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return html.escape(plain(child))
    return joined(child)


def theirs(text: str, longest: int | None = None) -> Html:
    """A text of the user's program: isolated, so that its direction of writing stays its own."""
    return element("bdi", text if longest is None else shortened(text, longest))


def shortened(text: str, longest: int = LONGEST_LABEL) -> str:
    """A long name without its middle."""
    if len(text) <= longest:
        return text
    kept = (longest - 1) // 2
    return f"{text[:kept]}…{text[-kept:]}"


def prose(text: str) -> Html:
    """A sentence; what stands between backticks is code."""
    parts = re.split(r"`+([^`\n]+)`+", text)
    return joined(element("code", p) if i % 2 else p for i, p in enumerate(parts))


def documentation(text: str) -> Html:
    """The documentation of a check: headings, paragraphs and lists."""
    blocks: list[Html] = []
    for block in re.split(r"\n\s*\n", re.sub(r"(?m)^(## .+)$", r"\n\1\n", text)):
        lines = block.strip().splitlines()
        if not lines:
            continue
        if lines[0].startswith("## "):
            blocks.append(element("h4", lines[0][3:]))
        elif all(line.startswith(("- ", "  ")) for line in lines):
            items = re.split(r"(?m)^- ", block.strip())[1:]
            blocks.append(element("ul", *(element("li", prose(" ".join(i.split()))) for i in items)))
        else:
            blocks.append(element("p", prose(" ".join(block.split()))))
    return joined(blocks)


def table(head: Iterable[Child], rows: Iterable[Iterable[Child]], *, caption: str, class_: str = "") -> Html:
    """A table with a caption; the first cell of a row is its header."""
    body = [
        element("tr", *(element("td", c) if i else element("th", c, scope="row") for i, c in enumerate(row)))
        for row in rows
    ]
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", *(element("th", h, scope="col") for h in head))),
            element("tbody", *body),
            class_=class_ or None,
        ),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def number(value: float | None) -> str:
    """A number for readers: three digits."""
    return "–" if value is None else f"{value:.3g}"


def count(amount: int, noun: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"
