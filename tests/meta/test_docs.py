"""The pages say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flightcheck.checks.index import FILE, descriptions
from flightcheck.checks.registry import all_checks
from flightcheck.cli.main import COMMANDS
from tools.checks_page import PAGE, index, page

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_page_of_checks_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


def test_the_index_of_checks_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == index(), "run: make docs"
    assert [d.code for d in descriptions()] == list(all_checks())


def test_the_page_of_checks_links_to_its_own_headings() -> None:
    text = page()
    headings = {h.lower().replace(" ", "-") for h in re.findall(r"(?m)^### (.+)$", text)}
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert sorted(links) == sorted(headings)


@pytest.mark.parametrize("document", ["README.md", "examples/README.md"])
def test_linked_files_exist(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


def test_the_tests_that_hold_a_promise_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", README)
    assert len(named) >= 4
    for file, function in named:
        assert f"def {function}" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{function}"


def test_every_command_is_in_the_readme_and_no_other() -> None:
    assert set(re.findall(r"(?m)^flightcheck ([a-z]+)", README)) == set(COMMANDS)


def test_the_picture_shows_the_example_and_needs_no_network() -> None:
    svg = (ROOT / "docs" / "report.svg").read_text(encoding="utf-8").replace("&#160;", " ")
    assert "flightcheck check examples/digits.py" in svg
    assert "double-softmax" in svg
    assert "url(http" not in svg
