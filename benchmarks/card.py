"""``python -m benchmarks.card``: the kernel on a graphics card, timed beside PyTorch's functions for many tensors.

Also: which of our lines wait for the card once the learning is over, and of how many steps the loss is recorded.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.adapters.torch.native.on_device import OnDevice, tried
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.signals import LOSS

_REPEATED: Final = 30
_LEARNT: Final = 100
"""Rounds after which no line of ours may wait."""
_STEPS: Final = 1500
MODELS: Final[dict[str, list[tuple[int, ...]]]] = {
    "GPT-2 like": [(768, 3072)] * 24 + [(768, 768)] * 48 + [(50257, 768)] + [(768,)] * 98,
    "300 small": [(64, 64)] * 300,
    "MLP": [(128, 64), (128,), (64, 128), (64,), (10, 64), (10,)],
}


def timed(act: Callable[[], Any]) -> tuple[float, float]:
    """Microseconds of the card and of the processor."""
    for _ in range(5):
        act()
    torch.cuda.synchronize()
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    began = time.perf_counter()
    first.record()
    for _ in range(_REPEATED):
        act()
    last.record()
    processor = time.perf_counter() - began
    torch.cuda.synchronize()
    return 1e3 * first.elapsed_time(last) / _REPEATED, 1e6 * processor / _REPEATED


def kernel() -> None:
    """Gradients, weights and updates of all tensors of a model, with Triton and without."""
    print(
        "| model | tensors | million numbers | Triton: card, µs | processor, µs | foreach: card, µs | processor, µs |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, shapes in MODELS.items():
        parameters = [nn.Parameter(torch.randn(shape, device="cuda")) for shape in shapes]
        for p in parameters:
            p.grad = torch.randn_like(p)
        count, cells = len(parameters), []
        for triton in (True, False):
            looks = OnDevice(triton=triton)

            def look(looks: OnDevice = looks, count: int = count, parameters: list[Any] = parameters) -> Any:
                return looks.look(range(count), parameters, gradients=True, weights=True, compared=[True] * count)

            cells += [f"{v:,.0f}" for v in timed(look)]
        million = sum(p.numel() for p in parameters) / 1e6
        print(f"| {name} | {count} | {million:.1f} | " + " | ".join(cells) + " |")


def waits() -> tuple[list[str], int]:
    """Where a line of ours waits for the card in the watching phase (PyTorch raises there), and the losses recorded."""
    found: list[str] = []
    noted = Watch.note_error
    Watch.note_error = lambda self, where, error: found.append(f"{where}: {error}")  # type: ignore[method-assign]
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(800, 4)).cuda()
    try:
        with tempfile.TemporaryDirectory() as folder, flightcheck.watch(runs_dir=folder, report=False) as seen:
            optimizer = torch.optim.Adam(model.parameters(), 1e-3)
            x = torch.randn(512, 1, 12, 12, device="cuda")
            y = (x.mean((1, 2, 3)) > 0).long()
            for step in range(_STEPS):
                if step == _LEARNT:
                    torch.cuda.set_sync_debug_mode("error")
                at = step * 64 % 512
                loss = F.cross_entropy(model(x[at : at + 64]), y[at : at + 64])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            torch.cuda.set_sync_debug_mode("default")
        losses = len(seen.run.series(LOSS).steps) if seen.run is not None else 0
    finally:
        Watch.note_error = noted  # type: ignore[method-assign]
    return found, losses


if __name__ == "__main__":
    print(torch.cuda.get_device_name(), "PyTorch", torch.__version__)
    print("self-test:", tried(torch.device("cuda")) or "right")
    kernel()
    lines, recorded = waits()
    print(f"lines that wait in {_STEPS - _LEARNT} watched steps:", lines or "none")
    print(f"losses recorded: of {recorded} steps of {_STEPS}")
