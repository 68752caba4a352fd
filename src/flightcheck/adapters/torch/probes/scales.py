"""Does a place of random thinning keep the size of what it is given, on average?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from flightcheck.adapters.torch.batches import first_tensor
from flightcheck.adapters.torch.source_lines import SourceLines
from flightcheck.recording.records import Location

_SAMPLE: Final = 65_536
_THINNING: Final = (
    "mul",
    "__mul__",
    "__rmul__",
    "mul_",
    "__imul__",
    "where",
    "masked_fill",
    "masked_fill_",
    "__setitem__",
)


class Thinnings(TorchFunctionMode):
    """Lines of the script on which values are multiplied with, or replaced by, a mask of one value and zeros."""

    def __init__(self, lines: SourceLines) -> None:
        super().__init__()
        self._lines = lines
        self.found: list[Location] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in _THINNING and any(_is_mask(a) for a in args):
            location = self._lines.here()
            if location is not None and location not in self.found:
                self.found.append(location)
        return func(*args, **(kwargs or {}))


def _is_mask(value: Any) -> bool:
    if not isinstance(value, torch.Tensor) or value.numel() < 2:
        return False
    if value.dtype is torch.bool:
        return bool(value.any()) and not bool(value.all())
    zero = value == 0
    return bool(zero.any()) and not bool(zero.all()) and bool((zero | (value == value.max())).all())


class _Inputs:
    """A sample of what each module was given in its first call, in the order of these calls."""

    def __init__(self, model: nn.Module) -> None:
        self.given: dict[str, torch.Tensor] = {}
        self._handles = [
            m.register_forward_pre_hook(self._hook(path), with_kwargs=True) for path, m in model.named_modules() if path
        ]
        self._handles.append(model.register_forward_hook(self._output))

    def _hook(self, path: str) -> Any:
        def note(module: nn.Module, args: Any, kwargs: Any) -> None:
            self._note(path, first_tensor([*args, *kwargs.values()]))

        return note

    def _output(self, module: nn.Module, args: Any, output: Any) -> None:
        self._note("", first_tensor(output))

    def _note(self, path: str, value: torch.Tensor | None) -> None:
        if path not in self.given and value is not None:
            flat = value.detach().reshape(-1)
            self.given[path] = flat[:: max(1, flat.numel() // _SAMPLE) | 1].cpu().clone()

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


def scale_in_training(model: nn.Module, run: Callable[[bool, int], None], draws: int) -> dict[str, Any]:
    """The first place behind random thinning: how large is it on average, against eval mode?

    Args:
        model: is run by `run`.
        run: one forward pass, with the modules in question in train mode or not, with these random numbers.
        draws: of random numbers.

    Returns:
        ``scale`` (the projection of the mean over draws on the value of eval mode) and ``likeness`` (their cosine) at
        the input of ``before``, the first module (empty: the model's output) at which draws differ. Empty if none do,
        and where it is the model's own input that is thinned, before any layer: an augmentation, or denoising.
    """

    def inputs(training: bool, draw: int) -> dict[str, torch.Tensor]:
        seen = _Inputs(model)
        try:
            run(training, draw)
        finally:
            seen.remove()
        return seen.given

    still = inputs(False, 0)
    drawn = [inputs(True, draw) for draw in range(draws)]
    modules, layers = dict(model.named_modules()), 0
    for path, value in still.items():
        several = [d[path] for d in drawn if path in d and d[path].shape == value.shape]
        if len(several) < draws or all(torch.equal(several[0], other) for other in several[1:]):
            layers += next(modules[path].parameters(recurse=False), None) is not None
            continue
        if not (layers and value.is_floating_point()):
            return {}
        mean, meant = torch.stack(several).float().mean(0), value.float()
        size, product = float(meant.norm()), float(mean @ meant)
        if not size > 0:
            return {}
        return {
            "before": path,
            "scale": product / size**2,
            "likeness": product / (size * max(float(mean.norm()), 1e-30)),
        }
    return {}
