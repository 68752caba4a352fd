"""The page without a browser: what it says, in which order, and that a user's strings stay text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from flightcheck.diagnosis import diagnose
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.output import OutputPart
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.report.page.document import page
from flightcheck.report.page.excerpt import excerpt
from flightcheck.report.page.markup import Html, documentation, element, prose, shortened
from tests.report.made import DOUBLED, HEALTHY, case
from tests.report.paged import FOUND, HOSTILE, TRIED, Reader, broken, hostile, training


def test_it_opens_on_the_diagnosis() -> None:
    told = Reader(page(*broken())).text
    order = [
        "2 root causes, the most likely first", "Double softmax at train.py:41", "so its floor is 1.461 and not 0", "What to do",
        "Return the logits from forward(); apply softmax only when predicting.",
        "- self.softmax = nn.Softmax(dim=1)", "confirmed", "0.821 → 0.519",
        "3 seeds × 60 steps; better by 0.23 to 0.37 (95 % interval; less than 0.016 would not count); p = 0.0002",
        "Other findings", "What was tried", "Training over time", "Layers over time", "The network", "The checklist",
        "Confirm your loss", "Cost and coverage",
    ]  # fmt: skip
    at = 0
    for words in order:
        found = told.find(words, at)
        assert found >= 0, words
        at = found


def test_what_the_script_printed_is_folded_and_text() -> None:
    run, diagnosis = broken()
    assert "What the script printed" not in page(run, diagnosis)
    run.records["OutputPart"] = [
        OutputPart(0, ["epoch 1", "<script>window.hit=1</script>", "\x1b[31mred"], [1]),
        OutputPart(1000, [f"step {i}" for i in range(400)], []),
    ]
    text = page(run, diagnosis)
    part = text[text.index('<h2 id="output">') :].partition("</section>")[0]
    assert "<details><summary>1,400 lines</summary>" in part
    assert "epoch 1\n&lt;script&gt;window.hit=1&lt;/script&gt;\nred\n… 997 lines left out …\nstep 0\n" in part
    assert "step 35\n… 204 lines left out …\nstep 240\n" in part
    assert part.count("\n") == 200
    assert 'href="#output"' in text


def test_what_explains_what_is_linked() -> None:
    read = Reader(page(*broken()))
    assert "Explains" in read.text
    inner = {t[1:] for t in read.targets if t.startswith("#")}
    assert inner <= set(read.ids)
    assert all(t.startswith("#") for t in read.targets)


def test_every_verdict_has_its_reason() -> None:
    told = Reader(page(*broken())).text
    assert "inconclusive" in told
    assert "1 of 8 batches" in told
    for code in ("L03", "P33", "C07", "P13", "T01", "P01", "D01", "D07"):
        assert f'id="check-{code}"' in page(*broken())


def test_the_numbers_are_there_without_a_script() -> None:
    told = Reader(page(*broken())).text
    assert "2.5 at step 0" in told
    assert "Gradient norm by layer, 60 sampled steps" in told
    assert "Observed4 of 4 modules" in told
    assert "1.3 % of the training's time" in told


def test_a_healthy_run_says_so() -> None:
    run = training()
    told = Reader(page(run, diagnose(run, HEALTHY))).text
    assert "Nothing found" in told
    assert "3 checks passed, 1 could not decide, in 60 steps and 1 evaluation." in told


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"ended": "exception", "error": "ValueError: no"}, "The script ended with ValueError: no after 300 steps."),
        ({"ended": "interrupted"}, "The script was interrupted after 300 steps"),
        ({"ended": "running"}, "The script has not ended, or was killed, after 300 steps."),
        ({"ended": "exit", "exit_code": 3}, "The script exited with status 3 after 300 steps."),
        ({"steps": 0}, "No training was seen"),
    ],
)
def test_how_the_script_ended(info: dict[str, object], words: str) -> None:
    assert words in Reader(page(*case(*HEALTHY, **info))).text


def test_a_run_that_recorded_nothing_has_a_page() -> None:
    run = Run()
    text = page(run, diagnose(run, []))
    assert "<title>No training was seen · " in text  # and not "Nothing found", which praises
    assert "Nothing found" not in Reader(text).text


def test_it_asks_for_nothing() -> None:
    text = page(*broken())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src &#x27;none&#x27;")
    for tag, attributes in Reader(text).tags:
        assert tag not in ("iframe", "object", "embed", "base", "form", "img")
        assert "src" not in attributes
        assert not str(attributes.get("href", "#")).startswith(("http", "//"))
        assert not [a for a in attributes if a.startswith("on")]
    assert not re.search(r"@import|url\(", re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))


def test_hostile_strings_are_text() -> None:
    text = page(*hostile())
    read = Reader(text)
    assert "window.hit=1" in read.text
    for text_of_user in HOSTILE[:2]:
        assert text_of_user in read.text
    scripts = [a for tag, a in read.tags if tag == "script"]
    assert scripts[0].get("type") == "application/json"
    assert all(not a for a in scripts[1:])
    assert not [tag for tag, _ in read.tags if tag == "img"]
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert data
    assert not set("<>&") & set(data[1])
    assert any("</script><script>" in m["path"] for m in json.loads(data[1])["modules"])
    assert "\x00" not in text
    assert "\u202e" not in text


def test_long_names_are_shortened_in_labels() -> None:
    assert shortened("a" * 30 + "b" * 30, 21) == "a" * 10 + "…" + "b" * 10
    assert len(page(*hostile())) < 1_000_000


def test_markup_escapes_all_but_itself() -> None:
    assert element("p", "<b>", Html("<i></i>"), None, ["&", element("b", '"')], title='"<') == (
        '<p title="&quot;&lt;">&lt;b&gt;<i></i>&amp;<b>&quot;</b></p>'
    )
    assert element("meta", charset="utf-8", hidden=True, id=None) == '<meta charset="utf-8" hidden>'
    assert prose("set `x<1` now") == "set <code>x&lt;1</code> now"
    assert documentation("Sum `a`.\n\n## How\nOne\ntwo.\n\n- x\n- y\n  z") == (
        "<p>Sum <code>a</code>.</p><h4>How</h4><p>One two.</p><ul><li>x</li><li>y z</li></ul>"
    )


def test_the_code_around_a_line(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("".join(f"line {i}\n" for i in range(1, 20)))
    run = training()
    found = excerpt(Location(str(file), 10, code="line 10"), run)
    assert found
    assert found.lines == tuple((i, f"line {i}") for i in range(7, 14))


def test_blank_lines_at_its_ends_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("a\n\n\n\nx = 1\n\nb\n\n")
    found = excerpt(Location(str(file), 5, code="x = 1"), training())
    assert found
    assert found.lines == ((5, "x = 1"), (6, ""), (7, "b"))


def test_of_a_source_that_changed_only_the_recorded_line_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("\n" * 20)
    run = training()
    found = excerpt(Location(str(file), 10, code="x = 1"), run)
    assert found
    assert (found.lines, found.whole) == (((10, "x = 1"),), False)
    assert excerpt(Location(str(file), 10), run) is None


def test_the_line_is_marked() -> None:
    run, diagnosis = broken()
    text = page(run, diagnosis)
    assert re.search(r'class="line here">.*?>41</span><code><bdi>return torch.softmax\(x, dim=1\)</bdi>', text)


def test_a_reason_ends_with_one_full_stop() -> None:
    run, _ = broken()
    run.records["Experiment"] = [replace(TRIED, reason="without it the script ended with IndexError: no.")]
    told = Reader(page(run, diagnose(run, FOUND))).text
    assert "p = 0.0002. Without it the script ended with IndexError: no." in told
    assert "no.." not in told


def test_a_fix_that_was_not_tried_says_why() -> None:
    run, _ = broken()
    run.records["Experiment"] = [Experiment("L03", "drop-module:softmax", reason="the time was used up")]
    told = Reader(page(run, diagnose(run, FOUND))).text
    assert "Not tried: without the softmax before the loss (the time was used up)." in told


def test_secrets_beside_the_line_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text('login(key="abc123")\nx = 1\n')
    found = excerpt(Location(str(file), 2, code="x = 1"), training())
    assert found
    assert found.lines[0] == (1, 'login(key="***")')


def test_findings_of_the_same_check_have_their_own_address() -> None:
    run, _ = broken()
    twice = replace(DOUBLED, findings=(DOUBLED.findings[0], replace(DOUBLED.findings[0], message="again")))
    Reader(page(run, diagnose(run, [twice])))
