"""``flightcheck view train.py``: the training of a script, filmed without a change to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flightcheck.cli.main import main
from flightcheck.cli.view import MOST_SNAPSHOTS
from flightcheck.views.camera import moments
from tests.harmless.processes import Server
from tests.thorough import chosen

KINDS = str(Path(__file__).parents[1] / "harmless" / "trainings" / "kinds.py")
TRAINING = """
import sys
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 3)
        self.out = nn.Linear(3, 2)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))

torch.manual_seed(0)
x, y = torch.randn(64, 4), torch.randint(2, (64,))
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for step in range(int(sys.argv[1])):
    rows = torch.randperm(64)[:16]
    if step < 4:
        torch.save({"weight": model.hidden.weight.detach().clone(),
                    "bias": model.hidden.bias.detach().clone(), "rows": x[rows], "labels": y[rows]}, f"before{step}.pt")
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
    optimizer.step()
print("trained", step + 1)
"""
GAN = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x)

class Large(Small):
    def __init__(self):
        super().__init__()
        self.other = nn.Linear(4, 4)

    def forward(self, x):
        return self.other(super().forward(x))

small, large = Small(), Large()
optimizer = torch.optim.SGD([*small.parameters(), *large.parameters()], lr=0.1)
for _ in range(5):
    optimizer.zero_grad()
    large(small(torch.randn(8, 4))).square().mean().backward()
    optimizer.step()
"""


def data_in(page: Path) -> Any:
    """What the page gives to its script."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(text)


FILMED = [
    "mlp", "cnn", "lstm", "transformer", "gan", "amp", "lbfgs", "checkpointing", "manual_sgd", "workers", "functional",
    "tied",
]  # fmt: skip


@pytest.mark.parametrize("kind", chosen(FILMED, ["cnn", "transformer", "gan", "manual_sgd", "tied"]))
def test_a_filmed_script_computes_the_same_bits(server: Server, tmp_path: Path, kind: str) -> None:
    without = server.run(tmp_path, KINDS, kind)
    within = server.run(
        tmp_path, "-m", "flightcheck", "view", "--steps", "9999", "--snapshots", "6", "--html", "v.html", KINDS, kind
    )
    assert re.fullmatch(rf"{kind} [0-9a-f]{{64}}\n", without.out), without.err
    assert tuple(within) == tuple(without), within.err
    page = (tmp_path / "v.html").read_text()
    assert len(data_in(tmp_path / "v.html")["steps"]) >= 2, within.err
    assert not re.search(r"<li><bdi>[^<]*(Error|no gradient flow)", page)


def test_the_report_of_a_watched_training_leads_to_its_views(server: Server, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINING)
    done = server.run(tmp_path, "-m", "flightcheck", "run", "--view", "train.py", "30")
    assert done.code == 0, done.err
    (run,) = (tmp_path / ".flightcheck/runs").iterdir()
    assert re.search(r"Views: .*view\.html \(\d+ kB; snapshots after 0, 1, 2, 4, 8, 16, 30 steps", done.err), done.err
    assert data_in(run / "view.html")["steps"] == [0, 1, 2, 4, 8, 16, 30]
    assert '<a href="view.html">Inside the network</a>' in (run / "report.html").read_text()


def test_snapshots_show_the_script_s_own_model_at_these_steps(server: Server, tmp_path: Path) -> None:
    import torch

    (tmp_path / "train.py").write_text(TRAINING)
    done = server.run(
        tmp_path, "-m", "flightcheck", "view", "--steps", "3", "--snapshots", "4", "--html", "v.html", "train.py", "50"
    )
    assert (done.code, done.out) == (0, ""), "it was stopped after three steps"
    assert "Page: v.html" in done.err
    assert re.search(r"hidden +Linear +N×3 +15 +12", done.err)
    data = data_in(tmp_path / "v.html")
    assert data["steps"] == [0, 1, 2, 3]
    first = torch.load(tmp_path / "before0.pt")
    scores = {x["path"]: x for x in data["layers"]}["hidden"]
    assert (scores["answers"]["width"], scores["answers"]["height"]) == (3, 1)
    assert "example 0, label " + str(int(first["labels"][0])) in (tmp_path / "v.html").read_text()
    from tests.views.test_page import levels_in

    film = scores["answers"]
    shown = (levels_in(film["src"]).astype(float) - 2) / 253
    shown = (shown * 2 - 1) * film["limit"] if film["signed"] else shown * film["limit"]
    for step in range(3):  # the fourth file would be written after the stop
        known = torch.load(tmp_path / f"before{step}.pt")
        wanted = known["weight"] @ first["rows"][0] + known["bias"]
        assert shown[step].tolist() == pytest.approx(
            wanted.clamp(-film["limit"], film["limit"]).tolist(), abs=film["limit"] / 120
        )
    assert not list(tmp_path.glob(".flightcheck/runs/*")), "nothing is recorded"


def test_of_several_models_the_largest_or_the_named_is_shown(server: Server, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(GAN)
    done = server.run(tmp_path, "-m", "flightcheck", "view", "--html", "v.html", "train.py")
    assert "(model)   Large" in done.err
    assert "Also trained, and shown by --model: small." in (tmp_path / "v.html").read_text()
    done = server.run(tmp_path, "-m", "flightcheck", "view", "--model", "small", "train.py")
    assert "(model)   Small" in done.err
    assert re.search(r"Page: \.flightcheck/views/[0-9-]+\.html", done.err)
    done = server.run(tmp_path, "-m", "flightcheck", "view", "--model", "Other", "train.py")
    assert (done.code, done.err) == (
        2,
        "flightcheck: no training of a Other was seen, so there is nothing to look at\n",
    )


def test_a_script_that_trains_nothing_or_fails(server: Server, tmp_path: Path) -> None:
    (tmp_path / "nothing.py").write_text("print('hello')\n")
    done = server.run(tmp_path, "-m", "flightcheck", "view", "nothing.py")
    assert (done.code, done.out) == (2, "hello\n")
    assert done.err == "flightcheck: no training was seen, so there is nothing to look at\n"
    (tmp_path / "fails.py").write_text(TRAINING + "\nraise ValueError('mine')\n")
    done = server.run(tmp_path, "-m", "flightcheck", "view", "--html", "v.html", "fails.py", "5")
    assert done.code == 1
    assert "ValueError: mine" in done.err
    assert data_in(tmp_path / "v.html")["steps"][0] == 0, "what was seen until then is shown"


def test_an_example_that_is_not_there(server: Server, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINING)
    done = server.run(tmp_path, "-m", "flightcheck", "view", "--example", "16", "train.py", "3")
    assert done.code == 2
    assert "Net: there is no example 16: the batch holds 16 that are looked at, counted from 0 to 15" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no script given"),
        (["missing.py"], "there is no such script"),
        (["--snapshots", "99", "train.py"], f"at most {MOST_SNAPSHOTS}"),
        (["--example", "-1", "train.py"], "a whole number from 0 on wanted, but got '-1'"),
        (["--html", "no/where.html", "train.py"], "there is no folder no"),
    ],
)
def test_what_is_refused_before_the_script_starts(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("raise SystemExit('it ran')\n")
    assert main(["view", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_moments_are_closer_together_at_the_beginning() -> None:
    assert moments(60, 8) == [0, 1, 2, 5, 9, 18, 33, 60]
    assert moments(3, 8) == [0, 1, 2, 3]
    assert moments(5, 1) == [0, 5]
    assert moments(0, 8) == [0]
