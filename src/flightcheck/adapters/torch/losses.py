"""The loss functions of `torch.nn.functional`, and their like written by hand: who called them, with what."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.alignment import Alignment
from flightcheck.adapters.torch.axes import axes_of
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.graph import PICKS, behind_views
from flightcheck.adapters.torch.linear_stacks import linear_stack
from flightcheck.adapters.torch.logits import named, scores_of
from flightcheck.adapters.torch.loss_chains import HandmadeLoss
from flightcheck.adapters.torch.loss_settings import MODULES, WITH_CLASSES, class_weights, loss_settings
from flightcheck.adapters.torch.operations import Operations
from flightcheck.adapters.torch.orders import recorded_orders
from flightcheck.adapters.torch.padding import ignored_between, padded_target
from flightcheck.adapters.torch.reconstructions import is_given
from flightcheck.adapters.torch.shifts import shift_of
from flightcheck.adapters.torch.spreads import relative_spread
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.provenance import Order, argument_data_origin, argument_orders, difference_data_origin
from flightcheck.recording.provenance.fills import fills_of_missing
from flightcheck.recording.records import Location

FUNCTIONS: Final = (
    "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss",
    "smooth_l1_loss", "huber_loss", "kl_div", "poisson_nll_loss", "gaussian_nll_loss", "soft_margin_loss",
    "multilabel_soft_margin_loss", "multilabel_margin_loss", "multi_margin_loss", "hinge_embedding_loss",
    "margin_ranking_loss", "cosine_embedding_loss", "triplet_margin_loss", "ctc_loss",
)  # fmt: skip
TARGET_AT: Final = {"cosine_embedding_loss": 2, "margin_ranking_loss": 2}
"""Place of the target among the arguments of losses that are given two predictions; 1 in the others."""
ELEMENTWISE_LOSSES: Final = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_IN_ROWS: Final = {"kl_div", "ctc_loss"}
"""Losses of distributions that lie along the last axis of the prediction."""
_IN_QUANTILES: Final = 1024
"""Numbers of a target that its quantiles are taken of."""
_DENSE_CALLS: Final = 24
"""Calls of a site that are looked at in full; after that only on sampled steps."""
_AXES_CALLS: Final = 4
"""Calls of a site whose class axis is followed back to a layer."""
_MOST_CALLS: Final = 400
_IGNORED: Final = -100
"""The class id that losses leave out if nothing else is said."""
_MOST_ELEMENTS: Final = 65_536
"""Elements looked at per tensor; rows beyond are left out."""


@dataclasses.dataclass(frozen=True)
class _Call:
    """One call of a loss."""

    prediction: torch.Tensor
    made: Any
    """The node that made the prediction."""
    target: torch.Tensor
    value: float
    result_shape: list[int]


class MeanOfCalls:
    """The mean of scalars. Those of a GPU are added up there, and read once, when the mean is asked for."""

    def __init__(self) -> None:
        self._count, self._here = 0, 0.0
        self._there: dict[torch.device, torch.Tensor] = {}

    def add(self, value: torch.Tensor) -> None:
        """One more; a tensor of one element."""
        self._count += 1
        value = value.detach().reshape(())
        if value.is_cpu:
            self._here += float(value)
        else:  # a sum of our own: the script may change its tensor in place
            self._there[value.device] = self._there.get(value.device, torch.zeros_like(value)) + value

    def take(self) -> float | None:
        """The mean, None of nothing; then it starts anew."""
        total = self._here + sum(float(v) for v in self._there.values())
        mean = total / self._count if self._count else None
        self.forget()
        return mean

    def forget(self) -> None:
        """Start anew, without waiting for a GPU."""
        self._count, self._here = 0, 0.0
        self._there.clear()


class Losses:
    """Sites and calls of loss functions."""

    def __init__(self, watch: Watch, discovery: Discovery, operations: Operations) -> None:
        self.watch = watch
        self.discovery = discovery
        self.operations = operations
        self.sites: list[LossSite] = []
        self._index: dict[tuple[str, Location | None, type[nn.Module] | None], int] = {}
        self._observed: list[int] = []
        self._counts: list[list[int]] = []
        """Per site: calls in training, calls without gradient."""
        self.eval_losses = MeanOfCalls()
        """Of loss calls without gradient since the last look."""
        self.eval_calls = 0
        self.answered: Callable[[int, torch.Tensor], None] = lambda site, target: None
        """Told the target of every observed training call."""
        self.scored: Callable[[torch.Tensor, torch.Tensor], None] = lambda given, target: None
        """Told input and target of every classification loss without gradients."""
        self.by_hand: Callable[[HandmadeLoss], None] = lambda loss: None
        """Told every loss written by hand on which backward is called."""
        operations.by_hand.found = self.entered
        self.last_inputs: Callable[[], list[tuple[str, weakref.ref[torch.Tensor]]]] = list
        """What the model was last called with."""
        self.last_model: Callable[[], type[nn.Module] | None] = lambda: None
        """The class of that model."""
        self.alignment = Alignment(watch)

    def called(self, function: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """A loss function returned."""
        named = ("input", "log_probs", "anchor", "input1")
        given = args[0] if args else next((kwargs[n] for n in named if n in kwargs), None)
        at = TARGET_AT.get(function, 1)
        target = args[at] if len(args) > at else kwargs.get("target", kwargs.get("targets"))
        if not (isinstance(given, torch.Tensor) and isinstance(target, torch.Tensor)):
            return
        with_graph = torch.is_grad_enabled() and isinstance(result, torch.Tensor) and result.requires_grad
        training = with_graph or self.watch.checkpointed
        index = self._site_of_call(function, self.watch.lines.here(), args, kwargs)
        counts = self._counts[index]
        if not training:
            counts[1] += 1
            self.eval_calls += 1
            if isinstance(result, torch.Tensor) and result.numel() == 1:
                self.eval_losses.add(result)
            if function in ("cross_entropy", "nll_loss"):
                self.scored(given, target)
            elif function in ELEMENTWISE_LOSSES:
                self.operations.comparisons.compared_by_loss(function, given, target)
            return
        counts[0] += 1
        if self.watch.learning and with_graph:
            self.operations.terms.result_of(index, result)
            self.operations.dropped.made(self.sites[index], result, target)
        if self._is_observed(index, given, target):
            self._observe(index, _Call(given, given.grad_fn, target, _mean(result), list(result.shape)))

    def entered(self, loss: HandmadeLoss) -> None:
        """Backward is called on a loss that the script wrote by hand."""
        self.by_hand(loss)
        index = self._site(loss.function, loss.location)
        if index == len(self.sites):
            compared = self.operations.lines.get(loss.comparison)
            side = "right" if loss.target_is_right else "left"
            origin = difference_data_origin(compared.file, compared.line, side) if compared else None
            settings = {"reduction": loss.reduction, "handmade": True, "weighted": False, "part": loss.part}
            self._add_site(loss.function, loss.location, settings, origin)
        self._counts[index][0] += 1
        if self._is_observed(index, loss.prediction, loss.target):
            self._observe(index, _Call(loss.prediction, loss.prediction_node, loss.target, loss.value, []))

    def _is_observed(self, index: int, given: torch.Tensor, target: torch.Tensor) -> bool:
        """Whether to look at this call in full."""
        seen = self._observed[index]
        if seen >= _MOST_CALLS or not (seen < _DENSE_CALLS or self.watch.sampled):
            return False
        if given.requires_grad and not self.watch.reads(given):
            return False
        return bool(is_plain_tensor(given) and is_plain_tensor(target) and given.numel() and target.numel())

    def _site(self, function: str, location: Location | None) -> int:
        """The index of a site; that of the next one if it is new.

        A line that computes the loss of several kinds of models (a trainer that is used for a pretraining and for a
        fine-tuning) is a site for each: what is true of one of them is not of the other.
        """
        return self._index.get((function, location, self.last_model()), len(self.sites))

    def _site_of_call(
        self, function: str, location: Location | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> int:
        index = self._site(function, location)
        if index == len(self.sites):
            settings = loss_settings(function, args, kwargs, self.operations.owners)
            origin = argument_data_origin(location.file, location.line, "target", 1) if location else None
            orders = argument_orders(location.file, location.line, "target", 1) if location else []
            weights = self._weight_origin(class_weights(function, args, kwargs), location)
            self._add_site(function, location, settings, origin, orders=orders, weights=weights)
        return index

    def _weight_origin(self, weight: Any, location: Location | None) -> tuple[str, int] | None:
        """The line that computed the class weights of a call, or those that the loss module was made with."""
        if not isinstance(weight, torch.Tensor):
            return None
        made = [b.location for m, b in self.discovery.built.items() if _holds(m, weight) and b.location]
        for at, position in (*((m, 0) for m in made), *([(location, 2)] if location else [])):
            for keyword in ("weight", "pos_weight"):
                found = argument_data_origin(at.file, at.line, keyword, position if keyword == "weight" else None)
                if found is not None:
                    return found
        return None

    def _module_location(self, function: str) -> Location | None:
        """Where the only module of this loss was made."""
        made = {b.location for m, b in self.discovery.built.items() if type(m).__name__ == MODULES.get(function)}
        return made.pop() if len(made) == 1 else None

    def _add_site(
        self,
        function: str,
        location: Location | None,
        settings: dict[str, Any],
        origin: tuple[str, int] | None,
        *,
        orders: Sequence[Order] = (),
        weights: tuple[str, int] | None = None,
    ) -> None:
        index = self._index[function, location, self.last_model()] = len(self.sites)
        found = self.watch.lines.of(*origin) if origin else None
        self.sites.append(
            LossSite(
                index,
                function,
                location,
                settings,
                target_origin=found,
                target_orders=recorded_orders(self.watch, orders),
                weight_origin=self.watch.lines.of(*weights) if weights else None,
                module_location=self._module_location(function),
                fills=[self.watch.lines.of(*at) for at in fills_of_missing(function, location, found)],
            )
        )
        self.watch.writer.put(self.sites[index], index)  # its calls are read while the training goes on
        self._observed.append(0)
        self._counts.append([0, 0])

    def _observe(self, index: int, call: _Call) -> None:
        given, made, target = call.prediction, call.made, call.target
        self._observed[index] += 1
        self.answered(index, target)
        self.alignment.observed(index, target, self.last_inputs())
        self.operations.reshapes.compared(index, given, target)
        self.operations.rows.orders.compared(index, given, target)
        self.operations.rows.sorted.compared(index, given, target)
        if self.watch.learning:  # what these three know of the target was seen in its operations
            self.operations.ends.compared(index, target)
            self.operations.stored.compared(index, target)
            self.operations.rows.collated.compared(index, target)
        self.operations.dropouts.predicted(index, made)
        function = self.sites[index].function
        if self._observed[index] <= _AXES_CALLS and (axis := _class_axis(function, given)) is not None:
            self._padding(index, target)
            self._shift(index, call)
            lines = self.operations.lines
            self.watch.writer.append(axes_of(index, self.watch.step, given, target, axis=axis, lines=lines, made=made))
        if self._observed[index] == 1:
            self._stack(index, made)
        node = behind_views(made, PICKS)
        owner = self.operations.owners.get(made, self.operations.owners.get(node))
        module = self.discovery.modules.get(owner) if owner is not None else None
        line = self.operations.lines.get(node)
        if line is not None and self.sites[index].input_location is None:
            self.sites[index] = dataclasses.replace(self.sites[index], input_location=line)
        with torch.no_grad():
            facts = input_facts(function, given.detach())
            settings = self.sites[index].settings
            facts |= target_facts(function, target.detach(), facts.get("classes", 0), settings)
            facts["relative_spread"] = relative_spread(function, given, target, settings)
            ignored = settings.get("ignore_index", _IGNORED)
            if facts["ignored"] and ignored >= 0 and self._observed[index] <= _AXES_CALLS and self.watch.reads(target):
                facts["ignored_between"] = ignored_between(target, ignored, self.last_inputs())
        facts |= scores_of(node, self.operations.lines, self.operations.owners, self.discovery.modules)
        self.watch.writer.append(
            LossCall(
                site=index,
                step=self.watch.step,
                training=True,
                input_shape=list(given.shape),
                target_shape=list(target.shape),
                result_shape=call.result_shape,
                input_dtype=str(given.dtype).removeprefix("torch."),
                target_dtype=str(target.dtype).removeprefix("torch."),
                value=call.value,
                input_op=named(node),
                input_module=module.path if module else "",
                input_module_type=module.type if module else "",
                input_module_location=module.location if module else None,
                target_requires_grad=target.requires_grad,
                target_given=(self.watch.learning or function == "cross_entropy")
                and is_given(target, self.last_inputs(), scaled=function == "cross_entropy"),
                **facts,
            )
        )

    def _stack(self, index: int, made: Any) -> None:
        seen, known = self.operations, self.discovery.parameter_index
        found = linear_stack(index, made, seen.owners, seen.lines, known)
        if found is not None:
            self.watch.writer.append(found)

    def _padding(self, index: int, target: torch.Tensor) -> None:
        declared = (m.settings.get("padding_idx") for m in self.discovery.modules.values() if m.kind == "embedding")
        known = sorted({int(k) for k in (*declared, *self.operations.padding_values) if k is not None})
        found = padded_target(index, self.watch.step, target, self.last_inputs(), known) if known else None
        if found is not None:
            self.watch.writer.append(found)

    def _shift(self, index: int, call: _Call) -> None:
        ignored = self.sites[index].settings.get("ignore_index", _IGNORED)
        seen = self.operations
        found = shift_of(
            call.target,
            call.made,
            seen.embedded.ids,
            site=index,
            step=self.watch.step,
            ignored=ignored,
            lines=seen.lines,
            cut=seen.cut_ids,
            forward_only=seen.embedded.forward_only,
            stream_line=lambda ids: seen.reshapes.stream_line(ids) if seen.embedded.of_one_row.get(ids) else None,
        )
        if found is not None:
            self.watch.writer.append(found)

    def save(self) -> None:
        """Write the sites with their counts."""
        for i, (trained, evaluated) in enumerate(self._counts):
            self.sites[i] = dataclasses.replace(self.sites[i], train_calls=trained, eval_calls=evaluated)
            self.watch.writer.put(self.sites[i], i)


def _mean(result: torch.Tensor) -> float:
    return float(result.detach()) if result.numel() == 1 else float(result.detach().float().mean())


def _holds(module: Any, weight: torch.Tensor) -> bool:
    return any(getattr(module, name, None) is weight for name in ("weight", "pos_weight"))


def _class_axis(function: str, given: torch.Tensor) -> int | None:
    """The axis over which this loss compares classes, or would for rows of a table."""
    if function in ("cross_entropy", "nll_loss"):
        return 1 if given.dim() > 1 else None
    return 1 if given.dim() == 2 else None


def _rows(tensor: torch.Tensor) -> torch.Tensor:
    """The first rows of a tensor, at most `_MOST_ELEMENTS` elements; never fewer than one row."""
    if tensor.numel() <= _MOST_ELEMENTS or tensor.dim() == 0:
        return tensor
    per_row = tensor.numel() // tensor.shape[0]
    return tensor[: max(1, _MOST_ELEMENTS // max(1, per_row))]


def input_facts(function: str, given: torch.Tensor) -> dict[str, Any]:
    """Ranges of the prediction, and of its rows over the class dimension (dimension 1, or 0 for one example)."""
    x = _rows(given).float()
    facts: dict[str, Any] = {
        "input_min": float(x.min()),
        "input_max": float(x.max()),
        "input_std": float(x.std(correction=0)),
    }
    if given.dim() > 0 and x.shape[0] > 1:
        facts["input_column_spread"] = float(x.flatten(1).std(0).mean()) if x.dim() > 1 else float(x.std())
    if function in WITH_CLASSES | _IN_ROWS and given.dim() > 0:
        dim = 1 if given.dim() > 1 else 0
        if function in _IN_ROWS:
            dim = given.dim() - 1
        facts["classes"] = int(given.shape[dim])
        facts["row_sum_error"] = float((x.sum(dim) - 1).abs().max())
        facts["log_sum_error"] = float(torch.logsumexp(x, dim).abs().max())
    elif given.dim() > 1:
        facts["classes"] = int(given.shape[1])
    return facts


def target_facts(function: str, target: torch.Tensor, classes: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Ranges of the target, its different values, and counts of class ids."""
    y = _rows(target)
    ignore = settings.get("ignore_index", -100)
    ignored = 0
    if not y.is_floating_point() and function in ("cross_entropy", "nll_loss"):
        kept = y[y != ignore]
        ignored = int(y.numel() - kept.numel())
        y = kept if kept.numel() else y
    yf = y.double() if y.dtype == torch.float64 else y.float()
    facts: dict[str, Any] = {
        "target_min": float(yf.min()),
        "target_max": float(yf.max()),
        "target_mean": float(yf.mean()),
        "target_std": float(yf.std(correction=0)),
        "target_integral": bool((yf == yf.round()).all()),
        "target_binary": bool(((yf == 0) | (yf == 1)).all()),
        "ignored": ignored,
    }
    if y.numel() <= 4096:
        facts["target_distinct"] = int(torch.unique(yf).numel())
    if y.is_floating_point() and y.numel():
        some = yf.flatten()[:: 1 + y.numel() // _IN_QUANTILES]
        facts["target_tenths"] = torch.quantile(some, some.new_tensor([0.1, 0.9])).tolist()
    if y.is_floating_point() and y.dim() > 1:
        if y.shape[0] > 1:
            facts["target_column_spread"] = float(yf.flatten(1).std(0).mean())
        facts["target_row_sum_error"] = float((yf.sum(1) - 1).abs().max())
        if facts["target_binary"] and y.dim() == 2 and len(settings.get("class_weights") or ()) == y.shape[1]:
            facts["label_shares"] = yf.mean(0).tolist()
    whole = function in ("cross_entropy", "nll_loss") and not y.is_floating_point() and 0 < classes <= 1000
    if whole and facts["target_min"] >= 0 and facts["target_max"] < classes:
        facts["label_counts"] = torch.bincount(y.flatten().long(), minlength=classes).tolist()
    return facts
