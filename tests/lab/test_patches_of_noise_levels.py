"""In the trial data and noise are mixed with the coefficients that were meant: the training is the right one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from flightcheck.testing import verdict_of
from tests.lab.made import patched

HERE = Path(__file__).name
SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()
LINE = next(i for i, text in enumerate(SOURCE, 1) if text.endswith("# the sum"))
LINE_IN_PLACE = next(i for i, text in enumerate(SOURCE, 1) if text.endswith("# in place"))
Loop = Callable[[], None]


def denoising(data: float, noise: float, single: bool = False, in_place: bool = False) -> tuple[nn.Linear, Loop]:
    """A training whose coefficients are these powers of the cumulative product and of what it lacks to 1."""
    torch.manual_seed(0)
    net, x = nn.Linear(4, 3), torch.rand(8, 32, 3)
    levels = torch.randint(1, 50, (8, 32))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def loop() -> None:
        factors = 1 - torch.linspace(1e-3, 0.1, 50)
        kept = torch.cumprod(factors, 0)
        kept = factors if single else kept
        of_data, of_noise = kept**data, (1 - kept) ** noise
        for x0, t in zip(x, levels, strict=True):
            eps = torch.empty(x0.shape).normal_(generator=torch.Generator().manual_seed(int(t.sum())))
            if in_place:
                noised = of_data[t][:, None] * x0
                noised += of_noise[t][:, None] * eps  # in place
            else:
                noised = mixed(of_data[t][:, None], x0, of_noise[t][:, None], eps)
            loss = (net(torch.cat([noised, t[:, None] / 50], 1)) - eps).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return net, loop


def mixed(a: Tensor, x0: Tensor, b: Tensor, noise: Tensor) -> Tensor:
    return a * x0 + b * noise  # the sum


@pytest.mark.parametrize(
    ("slip", "made"),
    [
        ("noise-root", {"data": 0.5, "noise": 1.0}),
        ("data-root", {"data": 1.0, "noise": 0.5, "in_place": True}),
        ("both-roots", {"data": 1.0, "noise": 1.0}),
        ("product", {"data": 0.5, "noise": 0.5, "single": True}),
    ],
)
def test_the_coefficients_that_were_meant(tmp_path: Path, slip: str, made: dict[str, float]) -> None:
    (right, as_meant), (wrong, as_is), (mended, again) = denoising(0.5, 0.5), denoising(**made), denoising(**made)  # type: ignore[arg-type]
    as_meant()
    found = patched(tmp_path, "", as_is)
    (finding,) = verdict_of("L26", found.run).findings
    assert finding.patch == f"noise-level:{slip}:{HERE}:{LINE_IN_PLACE if made.get('in_place') else LINE}"
    done = patched(tmp_path, finding.patch, again)
    assert (done.applied, done.errors) == ({finding.patch: 8}, [])
    assert not verdict_of("L26", done.run).findings
    assert torch.allclose(mended.weight, right.weight, atol=1e-5)
    assert not torch.allclose(wrong.weight, right.weight, atol=1e-4)
