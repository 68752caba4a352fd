"""The same batches in both modes: what is measured, of which models, and that nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.adapters.torch.kinds import module_settings
from tests.lab.made import CLASSES, FEATURES, Loop, batches, equal, patched

SOURCE = Path(__file__).read_text(encoding="utf-8")
LINE = next(i for i, line in enumerate(SOURCE.splitlines(), 1) if line.endswith("# thinned"))


class Thinned(nn.Module):
    """Dropout by hand."""

    def __init__(self, keep: float = 0.5, divide: bool = False) -> None:
        super().__init__()
        self.keep, self.divide = keep, divide

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        kept = (torch.rand_like(x) < self.keep).float()
        x = x * kept  # thinned
        return x / self.keep if self.divide else x


class Inline(nn.Module):
    """The same in the model's own code."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(FEATURES, 32), nn.Linear(32, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x).relu()
        if self.training:
            h = h.masked_fill(torch.rand_like(h) > 0.3, 0.0)
        return self.second(h)


def stack(*middle: nn.Module, width: int = 32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), *middle, nn.Linear(width, CLASSES))


def labels_by_chance() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Every third label is wrong: outputs that are too large are punished."""
    made = torch.Generator().manual_seed(3)
    pairs = []
    for _ in range(160):
        x = torch.randn(12, FEATURES, generator=made)
        wrong = torch.rand(12, generator=made) < 0.33
        pairs.append((x, torch.where(wrong, torch.randint(0, CLASSES, (12,), generator=made), x[:, :3].argmax(1))))
    return pairs


def measured(
    folder: Path, make: Callable[[], nn.Module], loss: Any = None, pairs: Any = None, lr: float = 0.03
) -> dict[str, Any]:
    """What the probe tells; the training is the same with it and without it."""
    found: list[dict[str, Any]] = []
    ends = []
    for patches in ("", "probe:modes"):
        torch.manual_seed(0)
        loop = Loop(make(), loss, lambda p: torch.optim.Adam(p, lr=lr), pairs or labels_by_chance())
        done = patched(folder, patches, loop)
        ends.append([*loop.weights, *(b.clone() for b in loop.model.buffers()), torch.rand(3)])
        assert all(m.training for m in loop.model.modules())
        found = [p.result for p in done.run.probes]
    assert equal(*ends), "nothing is changed"
    return found[0] if found else {}


def groups(found: dict[str, Any]) -> dict[str, Any]:
    return {g["name"]: g for g in found.get("groups", [])}


def test_thinning_by_hand_is_traced_to_its_line(tmp_path: Path) -> None:
    found = measured(tmp_path, lambda: stack(Thinned(0.3)))
    assert (found["calls"], found["examples"], len(found["train"])) == (160, 96, 8)
    assert sum(found["eval"]) > 1.2 * sum(found["train"])
    own = groups(found)["Thinned"]
    assert own["closes"] == pytest.approx(1.0, abs=1e-3)
    assert (own["path"], own["before"], own["own"]) == ("2", "3", True)
    assert own["scale"] == pytest.approx(0.3, abs=0.05)
    assert own["likeness"] > 0.8
    assert (Path(own["file"]).name, own["line"]) == (Path(__file__).name, LINE)


def test_thinning_in_the_models_own_code(tmp_path: Path) -> None:
    own = groups(measured(tmp_path, Inline))["Inline"]
    assert (own["path"], own["before"]) == ("", "second")
    assert own["scale"] == pytest.approx(0.3, abs=0.05)
    assert "masked_fill" in SOURCE.splitlines()[own["line"] - 1]


def test_inputs_that_are_thinned_are_an_augmentation(tmp_path: Path) -> None:
    def sure() -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(x.abs(), y) for x, y in labels_by_chance()]

    found = measured(tmp_path, lambda: nn.Sequential(Thinned(0.2), *stack()), pairs=sure())
    assert found["train"]
    assert all("scale" not in g for g in groups(found).values())


@pytest.mark.parametrize("middle", [lambda: Thinned(0.5, divide=True), lambda: nn.Dropout(0.5)], ids=["own", "PyTorch"])
def test_dropout_that_keeps_the_mean_makes_no_gap(tmp_path: Path, middle: Callable[[], nn.Module]) -> None:
    found = measured(tmp_path, lambda: stack(middle()))
    assert sum(found["eval"]) < 1.05 * sum(found["train"])
    assert "groups" not in found


def test_statistics_of_batches_that_differ(tmp_path: Path) -> None:
    """Each batch has an offset of its own, which BatchNorm takes away in train mode: no average of them fits."""
    pairs = [(x + 30 * (i % 2), y) for i, (x, y) in enumerate(labels_by_chance())]
    found = measured(tmp_path, lambda: nn.Sequential(nn.BatchNorm1d(FEATURES), *stack()), pairs=pairs)
    assert groups(found)["batchnorm"]["closes"] == pytest.approx(1.0, abs=1e-3)
    assert found["recalibrated"] < 0.8


def test_statistics_that_lag_are_recognized(tmp_path: Path) -> None:
    found = measured(tmp_path, lambda: stack(nn.BatchNorm1d(32, momentum=1e-4)), pairs=batches(96, 12) * 8)
    assert groups(found)["batchnorm"]["closes"] == pytest.approx(1.0, abs=1e-3)
    assert found["recalibrated"] > 0.8


def test_frozen_norms_stay_frozen(tmp_path: Path) -> None:
    class Frozen(nn.Sequential):
        def train(self, mode: bool = True) -> Frozen:
            super().train(mode)
            for m in self.modules():
                if isinstance(m, nn.BatchNorm1d):
                    m.eval()
            return self

    def make() -> nn.Module:
        return Frozen(*stack(nn.BatchNorm1d(32))).train()

    torch.manual_seed(0)
    loop = Loop(make(), pairs=labels_by_chance())
    (probe,) = patched(tmp_path, "probe:modes", loop).run.probes
    assert probe.result["eval"] == pytest.approx(probe.result["train"])


class OwnLoss(nn.Module):
    """The model returns its loss, as language models do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = stack(Thinned(0.3))
        self.targets = torch.zeros(12, dtype=torch.long)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.body(x)
        return out, F.cross_entropy(out, y)


def test_a_loss_that_the_model_computes_itself(tmp_path: Path) -> None:
    class Given(Loop):
        def step(self, x: Any, y: torch.Tensor) -> None:
            self.optimizer.zero_grad()
            _, loss = self.model(x, y)
            loss.backward()
            self.optimizer.step()

    torch.manual_seed(0)
    loop = Given(OwnLoss(), optimizer=lambda p: torch.optim.Adam(p, lr=0.03), pairs=labels_by_chance())
    (probe,) = patched(tmp_path, "probe:modes", loop).run.probes
    own = groups(probe.result)["Thinned"]
    assert (own["path"], own["before"]) == ("body.2", "body.3")


@pytest.mark.parametrize(
    "loss",
    [
        lambda out, y: F.cross_entropy(out.unsqueeze(0).transpose(1, 2), y.unsqueeze(0)),
        lambda out, y: F.cross_entropy(out.view(-1, CLASSES)[2:], y[2:]),
    ],
    ids=["transposed", "a part"],
)
def test_views_of_the_output_are_made_again(tmp_path: Path, loss: Any) -> None:
    found = measured(tmp_path, lambda: stack(nn.Dropout(0.0)), loss)
    assert found["eval"] == pytest.approx(found["train"])


class Probabilities(nn.Module):
    """In eval mode it returns another thing."""

    def __init__(self) -> None:
        super().__init__()
        self.body = stack()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.body(x)
        return out if self.training else out.softmax(1)


class Choice(Probabilities):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.body(x)
        return out if self.training else out.argmax(1)


@pytest.mark.parametrize("model", [Probabilities, Choice])
def test_models_that_return_another_thing_are_not_judged(tmp_path: Path, model: type[nn.Module]) -> None:
    assert measured(tmp_path, model) == {}


def test_what_the_loss_is_given_may_be_no_view(tmp_path: Path) -> None:
    assert measured(tmp_path, lambda: stack(nn.Dropout(0.5)), lambda out, y: F.cross_entropy(2 * out, y)) == {}


def test_code_that_asks_for_the_mode_is_marked() -> None:
    assert module_settings(Thinned()) == {"reads_mode": True}
    assert module_settings(OwnLoss()) == {}
    assert "reads_mode" not in module_settings(nn.Dropout(0.5))
    assert module_settings(torch.jit.script(nn.Linear(2, 2))) == {}, "the class of a scripted module has no function"


def normed(*middle: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(
        nn.Linear(FEATURES, 64), nn.ReLU(), *middle[:1], nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(),
        *middle[1:], nn.Linear(64, CLASSES),
    )  # fmt: skip


def test_what_dropout_does_to_statistics(tmp_path: Path) -> None:
    before = measured(tmp_path / "before", normed(nn.Dropout(0.6)))["shift"]
    assert [n["path"] for n in before["norms"]] == ["4"]
    assert before["norms"][0]["ratio"] < 0.85
    assert before["with"] != before["without"]
    behind = measured(tmp_path / "behind", normed(nn.Identity(), nn.Dropout(0.6)))["shift"]
    assert behind["norms"][0]["ratio"] == pytest.approx(1.0)
    assert behind["with"] == pytest.approx(behind["without"])
    assert "shift" not in measured(tmp_path / "none", normed())
