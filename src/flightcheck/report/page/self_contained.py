"""What makes a page one file: its scripts and styles inlined, and a policy by which the browser loads nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from flightcheck.report.page.markup import Html, element, joined
from flightcheck.version import version

NOTICES: Final = "vendor.licenses.txt"


def head(title: str, scripts: Sequence[str], styles: Sequence[str], *, live: bool = False) -> Html:
    """The head of a page.

    Args:
        title: any text.
        scripts: names of assets, the only scripts that may run.
        styles: names of assets.
        live: the page is served, and may ask the server from which it came.
    """
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(scripts, live)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"flightcheck {version()}"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        Html("".join(f"<style>{_asset(name)}</style>" for name in styles)),
    )


def _policy(scripts: Sequence[str], live: bool) -> str:
    """What the browser may do: run these very scripts, and load nothing; live, only from where the page came."""
    hashes = " ".join(f"'sha256-{_digest(_asset(name))}'" for name in scripts)
    connect = "; connect-src 'self'" if live else ""
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        f"base-uri 'none'; form-action 'none'{connect}"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _asset(name: str) -> str:
    return (resources.files("flightcheck.report.page") / "assets" / name).read_text(encoding="utf-8")


def footer(live: bool = False) -> Html:
    """The promise, and the licences."""
    whence = "Everything in this page is in this file; it loads nothing and sends nothing."
    if live:
        whence = "This page comes from the program that watches the training, on this machine, and from nowhere else."
    return joined(
        [
            element("p", whence),
            element(
                "details",
                element("summary", "Licences of the libraries in this page"),
                element("pre", _asset(NOTICES), class_="licenses", tabindex=0, aria_label="Licences"),
            ),
        ]
    )


def scripted(data: dict[str, Any], scripts: Sequence[str]) -> Html:
    """The data, in which nothing can end its element, then the scripts in the order in which they run."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))  # ASCII: other line ends are escaped
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    parts = [f'<script type="application/json" id="data">{text}</script>']
    parts += [f"<script>{_asset(name)}</script>" for name in scripts]
    return Html("".join(parts))
