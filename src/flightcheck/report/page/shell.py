"""What all pages stand in: a head that forbids to load anything, the libraries' licences, the data and the scripts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from flightcheck.report.page.markup import Html, element
from flightcheck.version import version

NOTICES: Final = "vendor.licenses.txt"


def head(title: str, scripts: Sequence[str]) -> Html:
    """The head of a page that runs these scripts of ours."""
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(scripts)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"flightcheck {version()}"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        Html(f"<style>{_asset('page.css')}</style>"),
    )


def _policy(scripts: Sequence[str]) -> str:
    """What the browser may do: run these very scripts, and load nothing."""
    hashes = " ".join(f"'sha256-{_digest(_asset(name))}'" for name in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _asset(name: str) -> str:
    return (resources.files("flightcheck.report.page") / "assets" / name).read_text(encoding="utf-8")


def footer() -> Html:
    """What the page promises, and whose libraries it carries."""
    return element(
        "footer",
        element("p", "Everything in this page is in this file; it loads nothing and sends nothing."),
        element(
            "details",
            element("summary", "Licences of the libraries in this page"),
            element("pre", _asset(NOTICES), class_="licenses", tabindex=0, aria_label="Licences"),
        ),
    )


def scripts(names: Sequence[str], data: dict[str, Any]) -> Html:
    """The data, in which nothing can end its element, then the scripts in the order in which they run."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))  # ASCII: other line ends are escaped
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    parts = [f'<script type="application/json" id="data">{text}</script>']
    parts += [f"<script>{_asset(name)}</script>" for name in names]
    return Html("".join(parts))
