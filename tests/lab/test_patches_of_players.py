"""Which optimizer takes over what nobody holds, where several models train against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.checks.base import Finding
from flightcheck.checks.registry import run_checks
from flightcheck.lab.agenda import investigate
from flightcheck.lab.candidates import Candidate
from flightcheck.lab.diffs import diff_of
from flightcheck.lab.experiments import TRAINED_SHARE, Lab
from flightcheck.patch import Patch
from flightcheck.recording.output import OutputPart
from flightcheck.recording.printed import PrintedNumber
from flightcheck.recording.records import Location
from flightcheck.testing import run_of
from tests.checks._network import line
from tests.lab.made import FEATURES, Patched, equal, patched
from tests.lab.test_experiments import Numbers, watched
from tests.lab.test_wiring import Players
from tests.verdicts import info_of


def players(
    folder: Path, patches: str, of_maker: Callable[[nn.Module, nn.Module], Any], detached: bool = True
) -> tuple[nn.Module, nn.Module, Patched]:
    """A maker and a judge, each with an optimizer; the maker's over the parameters that `of_maker` picks."""
    torch.manual_seed(0)
    maker, judge = nn.Linear(2, FEATURES), nn.Linear(FEATURES, 1)
    of_judge = torch.optim.SGD(judge.parameters(), lr=0.1)
    second = torch.optim.SGD(of_maker(maker, judge), lr=0.1)

    def loss(x: torch.Tensor, real: bool) -> torch.Tensor:
        out = judge(x)
        return F.binary_cross_entropy_with_logits(out, torch.full_like(out, float(real)))

    def run() -> None:
        for _ in range(8):
            made = maker(torch.randn(6, 2))
            of_judge.zero_grad()
            (loss(torch.randn(6, FEATURES) + 2, True) + loss(made.detach() if detached else made, False)).backward(
                retain_graph=not detached
            )
            of_judge.step()
            second.zero_grad()
            if not detached:
                made = maker(torch.randn(6, 2))
            loss(made, True).backward()
            second.step()

    return maker, judge, patched(folder, patches, run)


def weights(*models: nn.Module) -> list[torch.Tensor]:
    return [p.detach() for m in models for p in m.parameters()]


def test_parameters_instead_of_those_of_another_model(tmp_path: Path) -> None:
    right = players(tmp_path, "", lambda maker, judge: maker.parameters())
    wrong = players(tmp_path, "", lambda maker, judge: judge.parameters())
    mended = players(tmp_path, "add-parameters:instead=1", lambda maker, judge: judge.parameters())
    assert not equal(weights(*wrong[:2]), weights(*right[:2]))
    assert equal(weights(*mended[:2]), weights(*right[:2])), "step by step the training that was meant"
    assert mended[2].applied == {"add-parameters:instead=1": 1}
    ((finding,),) = (v.findings for v in run_checks(wrong[2].run, ["P08"]))
    assert finding.patch == "add-parameters:instead=1"
    assert [v.findings for v in run_checks(mended[2].run, ["P08"])] == [()]
    assert all(p.updates_nonzero for p in mended[2].run.parameters)


def test_a_missing_part_goes_to_the_optimizer_of_its_model(tmp_path: Path) -> None:
    """Although the judge's optimizer steps first, and the maker has a gradient of the judge's loss by then."""
    right = players(tmp_path, "", lambda maker, judge: maker.parameters(), detached=False)
    wrong = players(tmp_path, "", lambda maker, judge: [maker.bias], detached=False)
    mended = players(tmp_path, "add-parameters", lambda maker, judge: [maker.bias], detached=False)
    assert torch.equal(wrong[0].weight, nn_start()), "it stays as it was"
    one, other = ((models[0].weight.detach() - nn_start()).flatten() for models in (mended, right))
    assert float(F.cosine_similarity(one, other, dim=0)) > 0.5, "the judge's optimizer would have gone the other way"
    assert mended[2].applied == {"add-parameters": 1}


def nn_start() -> torch.Tensor:
    torch.manual_seed(0)
    return nn.Linear(2, FEATURES).weight.detach()


@pytest.mark.parametrize("regime", ["", "gan"])
def test_what_the_second_player_learns_is_judged_by_wiring(regime: str) -> None:
    finding = Finding("", Location("train.py", 40), evidence={"cut": "detach"}, patch="add-parameters:instead=1")
    run = watched(*([regime] if regime else []))
    (e,) = investigate(Lab(Players(), 60.0), run, [Candidate(info_of("C02"), finding)])
    assert (e.status, e.metric) == ("confirmed", TRAINED_SHARE)


def test_the_line_with_the_other_parameters() -> None:
    code = "opt_maker = Adam(judge.parameters())"
    finding = Finding("", Location("train.py", 4, "f", code), module="maker")
    told = diff_of([Patch.parse("add-parameters:instead=1")], finding, run_of())
    assert told == f"- {code}\n+ # the same with the parameters of maker"


def test_the_other_label_at_one_line(tmp_path: Path) -> None:
    line = next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "return F.binary" in text)
    patch = f"targets:opposite={Path(__file__).name}:{line}"
    maker, _, done = players(tmp_path, patch, lambda m, j: m.parameters())
    assert done.applied == {patch: 24}  # two of the judge's and one of the maker's in each round
    other, _, _ = players(tmp_path, "", lambda m, j: m.parameters())
    assert not equal(weights(maker), weights(other))
    elsewhere = f"targets:opposite={Path(__file__).name}:{line + 1}"
    assert players(tmp_path, elsewhere, lambda m, j: m.parameters())[2].applied == {}


def test_players_are_judged_by_how_far_samples_lie_from_the_data() -> None:
    class Drawing(Numbers):
        def run(self, trials: Any, seconds_left: float) -> Any:
            """Each prints two numbers; only that of the samples is better with the patch."""
            for one in super().run(trials, seconds_left):
                far = (0.2 if one.trial.patches else 1.1) + 0.01 * one.trial.seed
                told = [PrintedNumber(60, "d acc", 0.9, True), PrintedNumber(60, "sliced distance", far, True)]
                yield replace(one, run=watched("gan", extra=told))

    printed = OutputPart(0, ["step 100 d acc 0.9 sliced distance 0.5"], [])
    run = watched("gan", extra=[printed])
    tried = [Candidate(info_of("L19"), Finding("", line(40), patch="targets:opposite=train.py:40"))]
    (e,) = investigate(Lab(Drawing(), 60.0), run, tried)
    assert (e.status, e.metric) == ("confirmed", "printed sliced distance")
