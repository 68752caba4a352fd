"""The libraries that the page carries: the very bundle that was built, its licences, and nothing that could end it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

import flightcheck
from flightcheck.report.page import comparison, document

ASSETS = Path(flightcheck.__file__).parent / "report" / "page" / "assets"
SCRIPTS = list(dict.fromkeys((*document.SCRIPTS, *comparison.SCRIPTS)))
TOOLS = Path(__file__).parents[2] / "tools" / "page"
BUNDLE = "6531f6001d3d1abb1db7bcc8723d25102a8f268aa95c753a14cc8fd3c0cf846f"
"""Of vendor.min.js, as `make page-libraries` builds it from tools/page/package-lock.json."""
ALLOWED = {"ISC", "MIT", "BSD-3-Clause"}


def test_the_bundle_is_the_one_that_was_built() -> None:
    assert hashlib.sha256((ASSETS / "vendor.min.js").read_bytes()).hexdigest() == BUNDLE, (
        "the libraries changed: build them with 'make page-libraries', look at what changed, and pin the new hash here"
    )


def test_the_versions_are_pinned() -> None:
    wanted = json.loads((TOOLS / "package.json").read_text(encoding="utf-8"))
    locked = json.loads((TOOLS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        assert re.fullmatch(r"[0-9.]+", version)
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in p for path, p in locked.items() if path)


def test_every_library_is_named_with_its_licence() -> None:
    text = (ASSETS / "vendor.licenses.txt").read_text(encoding="utf-8")
    locked = json.loads((TOOLS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    named = re.findall(r"(?m)^(\S+) (\d\S*) \((.+)\)$", text)
    assert {"@observablehq/plot", "@dagrejs/dagre", "@dagrejs/graphlib", "d3-scale", "d3-shape"} <= {
        n for n, _, _ in named
    }
    for name, version, licence in named:
        assert locked[f"node_modules/{name}"]["version"] == version
        assert licence in ALLOWED, f"{name}: {licence}"
    assert text.lower().count("copyright") >= len(named)


@pytest.mark.parametrize("name", [*SCRIPTS, "page.css"])
def test_nothing_in_a_script_ends_its_element_or_fetches(name: str) -> None:
    text = (ASSETS / name).read_text(encoding="utf-8")
    assert not re.search(r"</script|</style|<!--", text, re.IGNORECASE)
    hosts = set(re.findall(r"(?:https?:)?//([a-z0-9-]+\.[a-z.]+)/", text))
    assert hosts <= {"www.w3.org"}  # names of XML
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|eval|importScripts)\(", text)
    assert not re.search(r"\bnew Function\b|@import|url\((?!#)", text)


@pytest.mark.parametrize("name", [n for n in SCRIPTS if not n.startswith("vendor")])
def test_our_scripts_stay_readable(name: str) -> None:
    lines = (ASSETS / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) < 400
    assert max(map(len, lines)) <= 140
    assert "innerHTML" not in "".join(lines)  # a user's strings are text
