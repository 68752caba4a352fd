"""Functions of scikit-learn that score predictions: which of their arguments holds what the model returned?"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.logged import Finder
from flightcheck.adapters.torch.patches import Patches
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.records import Location
from flightcheck.recording.surroundings import Comparison

_LIBRARY: Final = "sklearn.metrics"
_FUNCTIONS: Final = (
    "r2_score", "explained_variance_score", "mean_absolute_percentage_error", "mean_squared_error",
    "root_mean_squared_error", "mean_absolute_error", "median_absolute_error",
)  # fmt: skip
RANKINGS: Final = ("roc_auc_score", "average_precision_score")
"""They ask how scores order the examples."""
_MOST_ELEMENTS: Final = 65_536
_MOST_LINES: Final = 32
_DECISIONS: Final = 2
"""Values of what a threshold has cut."""
_SAME: Final = 1e-6
"""Distance of the correlation from 1: the output itself, or scaled back."""

Change = Callable[[str, Location | None, Any, Any], tuple[Any, Any]]


class Scores:
    """Compares the arguments of these functions with the outputs of the evaluation before."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.change: Change | None = None
        """In a trial: what is scored in the place of these arguments, at a line."""
        self._outputs: list[torch.Tensor] = []
        self._count = 0
        self._found: dict[tuple[str, Location | None], Comparison] = {}
        self._finder: Finder | None = None

    def install(self, patches: Patches) -> None:
        """Follow the functions, as soon as the script has imported them."""
        wrap = functools.partial(self._wrap, patches)
        if _LIBRARY in sys.modules:
            wrap(sys.modules[_LIBRARY])
        self._finder = Finder({_LIBRARY: wrap})
        sys.meta_path.insert(0, self._finder)

    def close(self) -> None:
        """Look for it no more; what was patched comes out with the rest."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)

    def _wrap(self, patches: Patches, module: ModuleType) -> None:
        for name in (*_FUNCTIONS, *RANKINGS):
            own = getattr(module, name, None)
            home = sys.modules.get(getattr(own, "__module__", ""))
            if own is None or home is None or getattr(home, name, None) is not own:
                continue
            wrapped = self._scoring(name, own)  # one object in both places: it is pickled by its name
            for owner in {id(m): m for m in (module, home)}.values():
                patches.replace(owner, name, functools.partial(_in_its_place, wrapped))

    def _scoring(self, name: str, original: Any) -> Any:
        told = self.watch.guarded(self._scored)

        @functools.wraps(original)
        def score(*args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(1)
            if not self.watch.mine() or not self.watch.lines.is_user(caller.f_code.co_filename):
                return original(*args, **kwargs)
            line = self.watch.lines.at(caller)
            if self.change is not None and len(args) > 1:
                args = (*self.change(name, line, args[0], args[1]), *args[2:])
            told(name, line, args[:2], kwargs)
            return original(*args, **kwargs)

        return score

    # -- what is known of the model -----------------------------------------------------------------------------------

    def evaluated(self, output: Any) -> None:
        """A model returned this in an evaluation."""
        if _LIBRARY not in sys.modules or not isinstance(output, torch.Tensor) or not is_plain_tensor(output):
            return
        if output.is_floating_point() and output.is_cpu:  # of a graphics card nothing is waited for
            self._count += output.numel()
            if self._count <= _MOST_ELEMENTS:
                self._outputs.append(output.detach().reshape(-1).to(torch.float64, copy=True))

    def training_resumes(self) -> None:
        """What was evaluated is over."""
        self._outputs.clear()
        self._count = 0

    def is_made(self, values: Any) -> bool:
        """These are the outputs of the evaluation, in their order: as they are, or scaled back."""
        array = _numbers(values)
        if array is None or not 1 < array.size <= _MOST_ELEMENTS:
            return False
        lengths = np.cumsum([len(o) for o in reversed(self._outputs)])
        last = next((i for i, n in enumerate(lengths, 1) if n == array.size), 0)
        if not last:
            return False
        outputs = torch.cat(self._outputs[-last:]).numpy()
        if not (array.std() > 0 and outputs.std() > 0):
            return False
        return bool(abs(np.corrcoef(array, outputs)[0, 1]) > 1 - _SAME)

    def _ranked(self, name: str, line: Location | None, args: Any, kwargs: Any) -> None:
        """Labels and what is to order their examples: two values, or scores?"""
        labels, scores = [*args, *(kwargs[k] for k in ("y_true", "y_score") if k in kwargs)][:2]
        given, key = _numbers(scores), (name, line)
        if given is None or np.ndim(scores) != 1 or np.ndim(labels) != 1 or not self._outputs:
            return
        values = np.unique(given)
        known = self._found.get(key)
        if len(self._found) >= _MOST_LINES and known is None:
            return
        if known is not None and known.axis_size != _DECISIONS:
            return  # scores were seen there, so the line is right
        self._found[key] = Comparison(
            operation=name, location=line, step=known.step if known else self.watch.step,
            calls=known.calls + 1 if known else 1, right_shape=[given.size], axis_size=len(values),
            minimum=float(values[0]), maximum=float(values[-1]),
        )  # fmt: skip

    def _scored(self, name: str, line: Location | None, args: Any, kwargs: Any) -> None:
        if name in RANKINGS:
            self._ranked(name, line, args, kwargs)
            return
        first, second = [*args, kwargs.get("y_true"), kwargs.get("y_pred")][:2]
        key = (name, line)
        if kwargs.keys() & {"y_true", "y_pred"} or (key not in self._found and len(self._found) >= _MOST_LINES):
            return  # by their names nobody mixes them up
        made = [self.is_made(first), self.is_made(second)]
        if made[0] == made[1]:
            return
        of_model, data = (_numbers(v) for v in ((first, second) if made[0] else (second, first)))
        if of_model is None or data is None:
            return
        known = self._found.get(key)
        self._found[key] = Comparison(
            operation=name, location=line, step=known.step if known else self.watch.step,
            calls=known.calls + 1 if known else 1, left_shape=list(of_model.shape), right_shape=list(data.shape),
            made=[float(of_model.mean()), float(of_model.std())], data=[float(data.mean()), float(data.std())],
            made_first=made[0],
        )  # fmt: skip

    def found(self) -> list[Comparison]:
        """What was scored, by function and line."""
        return list(self._found.values())


def _in_its_place(wrapped: Any, original: Any) -> Any:
    return wrapped


def _numbers(values: Any) -> npt.NDArray[np.float64] | None:
    """A flat array; None for what holds no plain numbers."""
    try:
        array = np.asarray(values, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    return array if array.size and bool(np.isfinite(array).all()) else None
