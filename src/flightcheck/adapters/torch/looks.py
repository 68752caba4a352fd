"""What looks at single operations, together by what it looks for: rows of batches, masks, digits, scores.

Each kind is told every operation of the learning pass, hands it on to those that ask for it by name, and forgets and
saves as one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch

from flightcheck.adapters.torch.attention_scales import OPERATIONS as SCALE_OPERATIONS
from flightcheck.adapters.torch.attention_scales import AttentionScales
from flightcheck.adapters.torch.cancellations import WITHIN, Cancellations
from flightcheck.adapters.torch.coarse_angles import OPERATIONS as ANGLE_OPERATIONS
from flightcheck.adapters.torch.coarse_angles import Angles
from flightcheck.adapters.torch.collated_rows import CollatedBatches
from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.frames import is_of_torch
from flightcheck.adapters.torch.fresh_targets import FreshTargets
from flightcheck.adapters.torch.hidden_softmaxes import HiddenSoftmaxes
from flightcheck.adapters.torch.joined_graphs import OPERATIONS as GRAPH_OPERATIONS
from flightcheck.adapters.torch.joined_graphs import GraphBatches
from flightcheck.adapters.torch.likelihoods import CUTS, PICKS, Likelihoods
from flightcheck.adapters.torch.loss_masks import OPERATIONS as LOSS_MASK_OPERATIONS
from flightcheck.adapters.torch.loss_masks import LossMasks
from flightcheck.adapters.torch.masked_extremes import OPERATIONS as EXTREMES
from flightcheck.adapters.torch.masked_extremes import MaskedExtremes
from flightcheck.adapters.torch.noise_widths import DRAWS as NORMAL_DRAWS
from flightcheck.adapters.torch.noise_widths import EXPONENTIALS, NoiseWidths
from flightcheck.adapters.torch.noising import Noising
from flightcheck.adapters.torch.normalized_axes import OPERATIONS as AXES_OPERATIONS
from flightcheck.adapters.torch.normalized_axes import NormalizedAxes
from flightcheck.adapters.torch.same_pairs import OPERATIONS as PAIR_OPERATIONS
from flightcheck.adapters.torch.same_pairs import SamePairs
from flightcheck.adapters.torch.separate_orders import Orders
from flightcheck.adapters.torch.signed_products import OPERATIONS as SIGNED_OPERATIONS
from flightcheck.adapters.torch.signed_products import SignedProducts
from flightcheck.adapters.torch.similarities import OPERATIONS as SIMILARITY_OPERATIONS
from flightcheck.adapters.torch.similarities import Similarities
from flightcheck.adapters.torch.sorted_rows import SortedBatches
from flightcheck.adapters.torch.watch import Watch
from flightcheck.adapters.torch.weak_fills import OPERATIONS as FILL_OPERATIONS
from flightcheck.adapters.torch.weak_fills import WeakFills
from flightcheck.recording.records import Location


class RowLooks:
    """Where the rows of batches come from, and where they go."""

    def __init__(self, watch: Watch) -> None:
        self.fresh, self.orders, self.sorted = FreshTargets(watch), Orders(watch), SortedBatches(watch)
        self.noising, self.graphs, self.collated = Noising(watch), GraphBatches(watch), CollatedBatches(watch)

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation returned."""
        self.fresh.look(name, args, kwargs, result)
        self.orders.look(name, args, kwargs, result)
        self.sorted.look(name, args, kwargs, result)
        self.noising.look(name, args, kwargs, result)
        if name in GRAPH_OPERATIONS:
            self.graphs.look(name, args, kwargs, result)
        self.collated.look(name, args)

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        for part in (self.fresh, self.orders, self.sorted, self.noising, self.graphs, self.collated):
            part.end_round()

    def save(self) -> None:
        """Write what was seen."""
        for part in (self.fresh, self.orders, self.sorted, self.noising, self.graphs, self.collated):
            part.save()


class MaskLooks:
    """Masks over losses, over scores, and over values of which an extreme is taken, and labels that look like masks;
    while gradients are on.
    """

    def __init__(self, watch: Watch) -> None:
        self.losses, self.fills, self.extremes = LossMasks(watch), WeakFills(watch), MaskedExtremes(watch)
        self.signed = SignedProducts(watch)

    def look(self, name: str, args: Any, kwargs: Any, result: Any, ids: Any, *, inside: bool) -> None:
        """An operation returned, inside of a model or outside; `ids` are the tokens that were embedded last."""
        if name in LOSS_MASK_OPERATIONS and not inside:
            self.losses.look(name, args, result, ids)
        if name in FILL_OPERATIONS:
            self.fills.look(name, args, kwargs, result)
        if name in EXTREMES:
            self.extremes.look(name, args, kwargs, result)
        if name in SIGNED_OPERATIONS:
            self.signed.look(name, args, kwargs, result)

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        for part in (self.losses, self.fills, self.extremes, self.signed):
            part.end_round()

    def save(self) -> None:
        """Write what was seen."""
        for part in (self.losses, self.fills, self.extremes, self.signed):
            part.save()


class DigitLooks:
    """Differences and angles for which the numbers of their type have too few digits."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.cancellations, self.angles = Cancellations(watch), Angles(watch)

    def look(self, name: str, args: Any, result: Any, *, inside: bool) -> None:
        """An operation returned, inside of a model or outside."""
        if name in WITHIN and not inside and not is_of_torch(sys._getframe(3)):  # which checks that shares sum to 1
            self.cancellations.look(args, result)
        if name in ANGLE_OPERATIONS and self.watch.learning:
            self.angles.look(name, args, result)

    def save(self) -> None:
        """Write what was seen."""
        self.cancellations.save()
        self.angles.save()


class ScoreLooks:
    """Products, what they are scaled with, the softmaxes that they go into, and what is taken for probabilities."""

    def __init__(
        self, watch: Watch, discovery: Discovery, *, lines: Mapping[Any, Location], owners: Mapping[Any, int],
        modules: list[Any],
    ) -> None:  # fmt: skip
        self.watch = watch
        self.axes = NormalizedAxes(watch, lines, owners, modules, discovery.module_index)
        self.scales = AttentionScales(watch, lines, modules, discovery.module_index)
        self.hidden = HiddenSoftmaxes(watch, lines, owners, modules)
        self.similarities, self.pairs = Similarities(watch), SamePairs(watch)
        self.likelihoods, self.widths = Likelihoods(watch, lines), NoiseWidths(watch, lines)
        self._parts = (
            self.axes, self.scales, self.hidden, self.similarities, self.pairs, self.likelihoods, self.widths,
        )  # fmt: skip

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation returned."""
        if name in AXES_OPERATIONS:
            self.axes.look(name, args, kwargs, result)
        if name in SCALE_OPERATIONS and self.watch.step == 0:
            self.scales.look(name, args, kwargs, result)
        if name == "linear":
            self.hidden.look(args, kwargs)
        if name in SIMILARITY_OPERATIONS:
            self.similarities.look(name, args, kwargs, result)
        if name in PAIR_OPERATIONS:
            self.pairs.look(name, args, kwargs, result)
        if (self.likelihoods.following or name in PICKS or name in CUTS) and torch.is_grad_enabled():
            self.likelihoods.look(name, args, kwargs, result)
        if (self.widths.following or name in EXPONENTIALS or name in NORMAL_DRAWS) and torch.is_grad_enabled():
            self.widths.look(name, args, result)

    def end_round(self) -> None:
        """Forget the tensors of this round."""
        for part in self._parts:
            part.end_round()

    def save(self) -> None:
        """Write what was seen."""
        for part in self._parts:
            part.save()
