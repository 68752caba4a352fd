"""Which coefficients of data and noise are told, in every way in which they are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import flightcheck
from flightcheck.recording.noising import NoisedData
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.testing import run_of, verdict_of

STEPS = 100
ROWS = 64
Noised = Callable[[Tensor, Tensor, Tensor], Tensor]


def per_example(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *[1] * (x.dim() - 1))


class Schedule(nn.Module):
    """Tables as buffers, of which one is what it is called but for a root."""

    def __init__(self, data: float = 0.5, noise: float = 0.5, single: bool = False) -> None:
        super().__init__()
        alphas = 1 - torch.linspace(1e-4, 0.05, STEPS)
        kept = torch.cumprod(alphas, 0)
        if single:
            kept = alphas
        self.register_buffer("of_data", kept**data)
        self.register_buffer("of_noise", (1 - kept) ** noise)

    def forward(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return per_example(self.of_data[t], x) * x + per_example(self.of_noise.gather(0, t), x) * noise


def in_place(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    kept = torch.cos(0.5 * torch.pi * (t + 1) / (STEPS + 1)) ** 2
    noised = x * kept.sqrt()[:, None]
    noised += noise.mul(1.0 - kept.unsqueeze(1))
    return noised


def one_level(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """All examples of a batch have one level."""
    kept = 1 - float(t[0] + 1) / (STEPS + 1)
    return kept**0.5 * x + (1 - kept) * noise


def straight(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    level = ((t + 1) / STEPS)[:, None]
    return (1 - level) * x + level * noise


def exploding(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    sigma = torch.exp(t / 20 - 3)[:, None]
    return (x + sigma * noise) / (sigma**2 + 0.25).sqrt()


def trigonometric(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    angle = t[:, None] / STEPS * torch.pi / 2
    return x * angle.cos() - noise * angle.sin()


def ornstein_uhlenbeck(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    time = t[:, None] / 30
    return torch.exp(-time) * x + torch.sqrt(1 - torch.exp(-2 * time)) * noise


def bridge(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """Between two examples: the coefficients of the data alone and of the noise fulfil a + b² = 1 nowhere else."""
    level = (t[:, None] + 1) / (STEPS + 1)
    return (1 - level) * x + level * x.flip(0) + level.sqrt() * noise


def chain(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """One step at a time, each with the factor of that step."""
    alphas = 1 - torch.linspace(1e-4, 0.05, STEPS)
    torch.cumprod(alphas, 0)
    before = alphas[t - 1].sqrt()[:, None] * x + (1 - alphas[t - 1]).sqrt()[:, None] * torch.randn_like(x)
    return alphas[t].sqrt()[:, None] * before + (1 - alphas[t]).sqrt()[:, None] * noise


def slightly(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """An augmentation, whose levels have nothing to do with each other."""
    return x + 0.1 * torch.rand(len(x), 1) * noise


def of_blurred(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """The data are points to which some noise was added."""
    return one_line(x + 0.03 * torch.randn(x.shape), t, noise)


def one_line(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.05, STEPS), 0)
    return kept[t].sqrt()[:, None] * x + (1 - kept[t])[:, None] * noise


def kept_variance(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    betas = torch.linspace(1e-4, 0.05, STEPS)
    bar = torch.cumprod(1 - betas, 0)
    return bar[t].sqrt()[:, None] * x + (1 - bar[t]).sqrt()[:, None] * noise


WRONG: dict[str, tuple[Callable[[], Noised], str]] = {
    "table of the noise": (lambda: Schedule(noise=1), "noise-root"),
    "table of the data": (lambda: Schedule(data=1), "data-root"),
    "both tables": (lambda: Schedule(data=1, noise=1), "both-roots"),
    "single steps": (lambda: Schedule(single=True), "product"),
    "in place": (lambda: in_place, "noise-root"),
    "of blurred data": (lambda: of_blurred, "noise-root"),
}
RIGHT: dict[str, Callable[[], Noised]] = {
    "kept variance": Schedule,
    **{
        f.__name__: lambda f=f: f  # type: ignore[misc]
        for f in (straight, exploding, trigonometric, ornstein_uhlenbeck, bridge, chain, slightly)
    },
}


def watched(tmp_path: Path, make: Callable[[], Noised], shape: tuple[int, ...] = (2,)) -> Run:
    torch.manual_seed(0)
    size = torch.Size(shape).numel()
    net = nn.Sequential(nn.Linear(size + 1, 8), nn.Tanh(), nn.Linear(8, size))
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        noised = make()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(6):
            x = torch.rand(ROWS, *shape)
            t, noise = torch.randint(1, STEPS, (ROWS,)), torch.randn_like(x)
            xt = noised(x, t, noise)
            loss = (net(torch.cat([xt.flatten(1), t[:, None] / STEPS], 1)) - noise.flatten(1)).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert seen.run is not None
    assert not [b for b in seen.run.coverage.blind if "of Flightcheck itself" in b]
    return seen.run


def slips(tmp_path: Path, make: Callable[[], Noised], shape: tuple[int, ...] = (2,), seen_at: int = 1) -> list[str]:
    run = watched(tmp_path, make, shape)
    assert len(run.recorded(NoisedData)) == seen_at
    return [str(f.evidence["slip"]) for f in verdict_of("L26", run).findings]


def test_the_line_of_the_schedule_and_its_end_are_recorded(tmp_path: Path) -> None:
    (found,) = watched(tmp_path, lambda: kept_variance).recorded(NoisedData)
    assert (found.of_product, found.lowest_product) == ("root", pytest.approx(0.22, abs=0.15))
    assert found.schedule_location is not None and "linspace" in found.schedule_location.code
    assert not found.samples, "no loop of this file goes back from noise"


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("shape", [(2,), (1, 3, 3)])
def test_a_missing_root_is_told(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    make, slip = WRONG[name]
    if name in ("in place", "of blurred data") and len(shape) > 1:
        shape = (5,)
    assert slips(tmp_path, make, shape) == [slip]


@pytest.mark.parametrize("name", RIGHT)
def test_other_ways_of_adding_noise_are_not(tmp_path: Path, name: str) -> None:
    assert slips(tmp_path, RIGHT[name], seen_at=name != "chain") == []


def scaled(to: float, at: float = 0.0) -> Callable[[], Noised]:
    """Data that vary by a given factor of what they did."""
    schedule = Schedule()
    return lambda: lambda x, t, noise: schedule(at + to * x, t, noise)


def under_noise(run: Run) -> list[float]:
    return [float(f.evidence["spread"]) for f in verdict_of("D03", run).findings if "spread" in f.evidence]


@pytest.mark.parametrize("shape", [(2,), (1, 3, 3)])
def test_data_that_noise_hides_are_told(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert under_noise(watched(tmp_path, scaled(0.01, 1.0), shape)) == [pytest.approx(0.003, rel=0.2)]


@pytest.mark.parametrize("shape", [(2,), (1, 3, 3)])
@pytest.mark.parametrize("to", [0.3, 1.0, 3.0])
def test_data_of_usual_scales_are_not(tmp_path: Path, shape: tuple[int, ...], to: float) -> None:
    run = watched(tmp_path, scaled(to), shape)
    (found,) = run.recorded(NoisedData)
    assert found.spread == pytest.approx(0.29 * to, rel=0.2)
    assert under_noise(run) == []


@pytest.mark.parametrize("name", RIGHT)
def test_no_way_of_adding_noise_hides_the_data(tmp_path: Path, name: str) -> None:
    assert under_noise(watched(tmp_path, RIGHT[name])) == []


def test_one_image_at_many_levels_is_one_example(tmp_path: Path) -> None:
    schedule = Schedule()
    run = watched(tmp_path, lambda: lambda x, t, noise: schedule(x[:1].expand_as(x), t, noise))
    assert [found.spread for found in run.recorded(NoisedData)] == [None]
    assert under_noise(run) == []


@pytest.mark.parametrize(
    "changed",
    [{"calls": 2}, {"spread": None}, {"data": [1.0], "noise": [1.0]}, {"noise": [0.0] * 64}, {"spread": 0.21}],
)
def test_few_examples_tell_nothing_of_the_noise(changed: dict[str, Any]) -> None:
    line = Location("train.py", 9)
    levels = [0.2 * 1.1**i for i in range(64)]
    known = NoisedData(line, calls=8, data=[1.0] * 64, noise=levels, spread=0.1)
    assert under_noise(run_of(known)) == [0.1]
    assert under_noise(run_of(replace(known, **changed))) == []
    assert under_noise(run_of(replace(known, noise=[4.0] * 64))) == [], "one level: smoothing, and no diffusion"


def test_one_level_for_all_examples_needs_as_many_steps(tmp_path: Path) -> None:
    assert slips(tmp_path, lambda: one_level) == []
