"""What checks of signal and gradient flow share: the layers of a model in the order of their calls, and their trend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen
from flightcheck.recording.records import Location, ModuleInfo, ParameterInfo
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import GRAD_NORM, LOSS, WEIGHT_NORM
from flightcheck.recording.tables import Table, median

Floats = npt.NDArray[np.float64]

SATURATING = {"sigmoid": "Sigmoid", "tanh": "Tanh", "softsign": "Softsign", "hardsigmoid": "Hardsigmoid"}


@frozen
class Layer:
    """A module with a weight matrix, in the order of calls."""

    module: ModuleInfo
    matrix: ParameterInfo

    @property
    def symmetric(self) -> bool:
        return self.matrix.zero or self.matrix.constant


def layers(run: Run, root: int) -> list[Layer]:
    """Trained linear and convolutional layers of a root, in the order in which they were called."""
    modules = {m.index: m for m in run.modules if m.root == root and m.order >= 0 and m.kind in ("linear", "conv")}
    found: dict[int, ParameterInfo] = {}
    for p in run.parameters:
        if p.role == "matrix" and p.module in modules and run.trained(p):
            found.setdefault(p.module, p)
    return sorted((Layer(modules[i], p) for i, p in found.items()), key=lambda layer: layer.module.order)


@frozen
class Stack:
    """The layers that follow each other in one model: a root, or layers that a function of the script calls in turn."""

    roots: tuple[int, ...]
    layers: tuple[Layer, ...]


def stacks(run: Run) -> Iterator[Stack]:
    """Of each trained root, and of all layers that are roots themselves, in the order of their first calls."""
    alone: list[tuple[int, Layer]] = []
    for root in trained_roots(run):
        found = layers(run, root)
        if len(found) == 1 and sum(m.root == root for m in run.modules) == 1:
            alone.append((root, found[0]))
        elif found:
            yield Stack((root,), tuple(found))
    if len(alone) > 1:
        yield Stack(tuple(root for root, _ in alone), tuple(layer for _, layer in alone))


def relative_gradients(run: Run, chosen: Sequence[Layer], at_least: int, first: int | None = None) -> Floats:
    """Median over the sampled steps of gradient norm / weight norm, one per layer; NaN where it was never measured.

    Args:
        run: the watched run.
        chosen: the layers.
        at_least: measured steps of a layer; else it was never measured.
        first: of these steps the first ones alone.
    """
    gradients, weights = run.table(GRAD_NORM, at_least), run.table(WEIGHT_NORM, at_least)
    result = np.full(len(chosen), np.nan)
    for i, layer in enumerate(chosen):
        g, w = gradients.column(layer.matrix.index), weights.column(layer.matrix.index)
        common, of_g, of_w = (part[:first] for part in np.intersect1d(g.steps, w.steps, return_indices=True))
        if len(common) < at_least:
            continue
        values, sizes = g.values[of_g], w.values[of_w]
        usable = np.isfinite(values) & np.isfinite(sizes) & (sizes > 0)
        if usable.sum() >= at_least:
            result[i] = median(values[usable] / sizes[usable])
    return result


def improvement(run: Run, at_least: int = 20) -> float:
    """Share by which the loss fell, first tenth against last fifth; 0 if that is within two standard errors.

    Raises:
        NotEnoughEvidence: fewer than `at_least` finite losses.
    """
    values = run.series(LOSS).values
    values = values[np.isfinite(values)]
    if len(values) < at_least:
        raise NotEnoughEvidence(f"{len(values)} of {at_least} finite losses")
    first, last = values[: max(3, len(values) // 10)], values[-max(3, len(values) // 5) :]
    fall = median(first) - median(last)
    error = float(np.hypot(first.std(ddof=1) / len(first) ** 0.5, last.std(ddof=1) / len(last) ** 0.5))
    return fall / max(abs(median(first)), 1e-12) if abs(fall) > 2 * error else 0.0


def at_row(table: Table, row: int, index: int) -> float:
    """A value of a table, NaN if it was not recorded or not there."""
    if index >= table.values.shape[1] or not len(table):
        return float("nan")
    value = float(table.values[row, index])
    return value if value >= 0.0 else float("nan")


def activation_of(run: Run, module: ModuleInfo) -> str:
    """The saturating activation that a module is, or that a function applies to its output; empty if neither."""
    name = module.type if module.kind == "activation" else str(module.settings.get("activation", ""))
    return SATURATING.get(name.lower(), "")


def common_path(paths: Iterable[str]) -> str:
    """The longest dotted path that all paths begin with."""
    parts = [p.split(".") for p in paths]
    if not parts:
        return ""
    same = 0
    for column in zip(*parts):
        if len(set(column)) > 1:
            break
        same += 1
    return ".".join(parts[0][:same])


def most_common(locations: Iterable[Location | None]) -> Location | None:
    """The line named most often, the earliest named of equals; None if no line is known."""
    counted = Counter(at for at in locations if at is not None)
    return counted.most_common(1)[0][0] if counted else None


def own_line(run: Run, module: ModuleInfo) -> Location | None:
    """The line that constructs this very module: where its own line makes several, that of the nearest module around
    it whose line makes only one (``Block(48, 1)`` rather than ``self.act = nn.ReLU()`` inside of ``Block``).
    """
    by_path = {m.path: m for m in run.modules}
    current: ModuleInfo | None = module
    while current is not None:
        twins = [m for m in run.modules if m.location == current.location and m.type == current.type]
        if len(twins) == 1:
            return current.location or module.location
        current = by_path.get(current.path.rpartition(".")[0])
    return module.location


def where(location: Location | None) -> str:
    """A line as a reader names it: the file without its folders."""
    return (
        f"{location.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{location.line}" if location else "an unknown line"
    )


def written_at(run: Run, modules: Iterable[int]) -> Location | None:
    """The line that overwrote the weights of these modules after their construction, else their biases; or None."""
    chosen = set(modules)
    own = [p for p in run.parameters if p.module in chosen and p.write_location != run.location_of(p)]
    weights = most_common(p.write_location for p in own if p.role == "matrix")
    return weights or most_common(p.write_location for p in own)


def trained_roots(run: Run) -> list[int]:
    """Roots that own a parameter which an optimizer trains."""
    root_of = {m.index: m.root for m in run.modules}
    return sorted({root_of[p.module] for p in run.parameters if p.module in root_of and run.trained(p)})


def before_trouble(run: Run, table: Table) -> int:
    """How many rows of a table lie before the first NaN or infinity of the run."""
    first = min((n.step for n in run.non_finite), default=None)
    return len(table) if first is None else int(np.searchsorted(table.steps, first))


def full_batch(run: Run) -> bool:
    """All training batches that were seen are the same: training on the whole set at once."""
    batches = [b for b in run.batches if b.training]
    inputs = {(b.root, b.argument) for b in batches}
    return len({b.step for b in batches}) >= 3 and len({(b.root, b.argument, b.digest) for b in batches}) == len(inputs)


def spread_ratio(run: Run, p: ParameterInfo) -> float | None:
    """The spread of a weight matrix before the first step, times √fan-in: usual initializations have 0.5 to 1.4.

    None if its norm was not measured then.
    """
    steps, rows = run.frames.get(WEIGHT_NORM.name, (np.empty(0), []))
    if not len(steps) or p.index >= len(rows[0]) or not p.numel:
        return None
    norm = float(rows[0][p.index])
    return norm / np.sqrt(p.shape[0]) if np.isfinite(norm) and norm >= 0 else None
