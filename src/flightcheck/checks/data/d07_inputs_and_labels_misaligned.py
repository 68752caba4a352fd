"""D07: labels that belong to other inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._joined import joined_apart
from flightcheck.checks.data._labels_of_the_maker import judged_with_other_labels
from flightcheck.checks.data._repeated import repeated_apart
from flightcheck.checks.data._returns import returns_turned_round
from flightcheck.checks.data._sorted import sorted_alone
from flightcheck.checks.start.s02_input_ignored_entirely import (
    inputs_do_not_matter,
    makes_little_difference,
    shows_nothing,
)
from flightcheck.recording.batches import OrderUse
from flightcheck.recording.fresh_targets import FreshTarget
from flightcheck.recording.provenance.picks import one_picks_the_other
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.recording.separate_orders import SeparateOrders


@check(
    "D07",
    "inputs-and-labels-misaligned",
    severity="error",
    evidence="T",
    needs=("experiments", "Probe"),
    fix="Shuffle, sort, filter and split inputs and labels together, with one index for both.",
)
class InputsAndLabelsMisaligned(Check):
    """The model can learn examples by heart, but inputs tell nothing about labels: not to it, not to neighbours.

    ## What it checks
    In the first steps, where the targets come from: numbers of `torch.randn` and its like that are drawn anew for
    each call of the loss, and that nothing but the loss is given, tell nothing of any input. This is so in all
    calls of that loss, eight or more, while the model's inputs hold more than a draw of their own. And two loaders
    beside each other: the prediction was made of one loader's examples alone, the target is what the other one
    gave, both hold as many examples, and the samplers of the two drew different ones. This is so in all calls of
    that loss. Two models of which one judges what the other made for given labels: in the steps of the latter the
    judge is given others, in all calls. Rows of two tables of equal length that one model is given beside each
    other (a condition, and what is to have it), drawn in two orders in all calls, although rows with one number
    belong together: a column of one table and one of the other have a correlation there of 0.3 or more, and not
    half of it where they are joined, or with the next row. A data set of which one field repeats exactly in one way
    (each row n times, or the whole n times), while the rows of another are closer to each other where the other way
    puts them together (under 0.8 of the distance), and evaluations are better by a third in a trial with the first
    field in that other order. In reinforcement learning: discounted sums of rewards that a loop appends from the
    last to the first, where nothing in the file turns them round. And rows of sequences that are sorted by their
    lengths, to be packed, while neither the targets are put into that order nor the outputs back: in all calls of a
    loss. A collate function that sorts sequences by length: each row of its batch is found again among the examples
    that it was given, the sequences in the new order, the targets in the old one, and nothing in the batch tells
    the order.
    Else three witnesses together. (a) A training with inputs permuted across the batch ends as the real one does, after
    80 and after 300 steps (S02); or it ends hardly worse, while on examples that the model was not trained on yet their
    own labels save less than 2 % of the loss against those of others (upper 99 % limit): the rest is memory. (b) The
    model learns eight examples by heart (S01), so inputs do reach the loss. (c) The label of the nearest other input
    agrees with that of an example no more often than chance: the upper 99 % limit (Clopper–Pearson) lies within three
    points of the rate by chance, at 500 examples or more; for numbers the upper 99 % limit (Fisher) of their
    correlation with the mean of the five nearest lies under 0.15. If labels shifted by some rows agree far better, the
    offset is named.
    ## Why it matters
    One array was shuffled, sorted or filtered and the other was not, or each by itself. The training loss still falls,
    by memory, or to the mean of the targets.
    ## How to fix
    Use the same index for inputs and labels, one dataset that gives both, one loader. In a diffusion model, add the
    very noise that is the target.
    ## Source
    CS231n; catalogue D07; shift scan and limits ours.
    ## Known false alarms
    Labels that are random on purpose, and labels that depend on their inputs in a way that neither neighbours nor 300
    steps of training see (parity, cryptography, returns of a market): a warning and not an error, unless an offset
    proves it. Rows of a table that are picked by those of another (a partner of the same class) are left out. A draw as
    the target of one loss beside others may be meant (outputs drawn towards a prior): information.
    """

    loaders = Param(4, "calls of the loss between two loaders: one could begin before the other, by a fault of a step")
    places = Param(0.5, "two random orders share one place in each pass; sorted ones with gaps share more")
    draws = Param(8, "calls of the loss whose target is a draw of its own: all rounds that are looked at so closely")

    examples = Param(
        500, "examples with which three points above chance would be seen: the 99 % limit is 3.5 points wide"
    )
    above = Param(0.03, "how far above chance the agreement may be without being information; our choice")
    gain = Param(0.02, "part of the loss: less than what counts as a difference between two trainings (S02)")
    related = Param(0.15, "numbers: neighbours explain at most 2 % of the variance; 500 examples can show as little")
    peak = Param(0.15, "how far above chance an offset's agreement must be to prove it; our choice")

    def __call__(self, run: Run) -> Iterator[Finding]:
        apart = joined_apart(run, int(self.loaders.value), self.places.value)
        others = [*judged_with_other_labels(run), *returns_turned_round(run), *apart, *repeated_apart(run)]
        if others:
            yield from others
            return
        if run.in_regime("gan", "reinforcement"):
            raise NotApplicable("there are no labels in this kind of training")
        parted = [
            o
            for o in run.recorded(SeparateOrders)
            if o.apart == o.calls >= self.loaders.value and o.same_places < self.places.value and not _chosen(o)
        ]
        if parted:
            yield from ((self._of_two_picks if o.picked else self._of_two_loaders)(run, o) for o in parted[:1])
            return
        if by_length := list(sorted_alone(run)):
            yield from by_length
            return
        drawn = [t for t in run.recorded(FreshTarget) if t.fresh == t.calls >= self.draws.value]
        if drawn:
            yield from (self._of_a_draw(run, t) for t in drawn)
            return
        yield from self._of_neighbours(run)

    def _of_neighbours(self, run: Run) -> Iterator[Finding]:
        """By trials without the inputs, and by the labels of the nearest neighbours."""
        without = [e for e in run.experiments if e.question == "S02" and e.low is not None]
        if not without:
            raise NotEnoughEvidence("a training without inputs was not tried")
        if not all(makes_little_difference(e) or shows_nothing(e) for e in without):
            return
        fits = [e for e in run.experiments if e.question == "S01" and e.after is not None and e.start]
        if len(without) < 3 or not fits:
            raise NotEnoughEvidence("inputs make no difference so far; it was not tried for longer")
        if all((e.after or 0.0) > 0.05 * (e.start or 1.0) for e in fits):
            raise NotEnoughEvidence("the model cannot learn 8 examples by heart, whatever their labels (S01)")
        found = run.probe("neighbours").result
        n, chance, classes = int(found["examples"]), float(found["chance"]), int(found["classes"])
        if n < self.examples.value:
            raise NotEnoughEvidence(f"{n} of {self.examples.value:.0f} examples")
        if classes == 1:
            raise NotEnoughEvidence("all examples have one label")
        nothing_before = float(found.get("new_gain", 1.0)) < self.gain.value
        if not (inputs_do_not_matter(without) or nothing_before):
            return
        share = found["hits"] / n if classes else float(found["agreement"])
        limit = chance + self.above.value if classes else self.related.value
        upper = self._upper(found, share, limit)
        if upper > limit:
            raise NotEnoughEvidence("neighbours agree on labels: the labels carry information, the training is slow")
        shifts = [float(s) for s in found["shifts"]]
        best = max(range(len(shifts)), key=shifts.__getitem__, default=0)
        offset = best - len(shifts) // 2
        proved = bool(shifts) and offset != 0 and shifts[best] > limit + self.peak.value
        text = (
            f"The nearest neighbour of an example has its label in {100 * share:.1f} % of {n} cases "
            f"(chance: {100 * chance:.1f} %)"
            if classes
            else f"Targets of examples and of their nearest neighbours have a correlation of {share:.2f} ({n} cases)"
        )
        text += ", and a training with inputs permuted across the batch ends "
        same = inputs_do_not_matter(without)
        text += "as the real one" if same else "hardly worse than the real one, which knows some by heart"
        text += f" ({without[-1].before:.3g} and {without[-1].after:.3g}), although it can learn 8 examples by heart."
        if proved:
            text += f" With labels shifted by {offset} rows it is {shifts[best]:.2f}."
        yield Finding(
            text,
            location=self._location(run),
            evidence={"agreement": share, "chance": chance, "upper": upper, "offset": offset if proved else None},
            severity=None if proved else "warn",
            patch=self._paired(run),
        )

    def _upper(self, found: dict[str, Any], share: float, limit: float) -> float:
        """As much agreement of neighbours as the examples allow for: its upper bound."""
        n = int(found["examples"])
        if not int(found["classes"]):
            return self._upper_correlation(share, n)
        upper = self._upper_share(int(found["hits"]), n)
        if share > limit:
            return upper
        # Five neighbours of each: two and a half pairs, since each of the two may be among the other's.
        pairs = int(2.5 * n)
        return min(upper, self._upper_share(round(float(found["agreement"]) * pairs), pairs))

    @staticmethod
    def _of_two_loaders(run: Run, orders: SeparateOrders) -> Finding:
        site = next(s for s in run.loss_sites if s.index == orders.site)
        lines = sorted({at.line for at in (orders.inputs, orders.targets) if at is not None})
        named = f" (line{'s' * (len(lines) > 1)} {' and '.join(map(str, lines))})" if lines else ""
        other = "another batch" if orders.one_loader else "another loader"
        return Finding(
            f"{site.function} compares what the model made of one loader's batch with a target of {other}{named}, in "
            f"an order of its own: of {orders.examples} examples both gave the same one at {orders.same_places:.0%} of "
            f"the places in {orders.apart} of {orders.calls} calls. The input that a target belongs to is elsewhere.",
            location=orders.taken if orders.one_loader else orders.targets,
            evidence={
                "calls": orders.calls,
                "same_places": orders.same_places,
                "one_loader": orders.one_loader,
            },
            fix="Take inputs and targets from one batch."
            if orders.one_loader
            else "Give both to one dataset, and that to one loader: for x, y in DataLoader(TensorDataset(inputs, "
            "targets), shuffle=True).",
            patch="shuffle:together",
        )

    @staticmethod
    def _of_two_picks(run: Run, orders: SeparateOrders) -> Finding:
        site = next(s for s in run.loss_sites if s.index == orders.site)
        lines = sorted({at.line for at in (orders.inputs, orders.targets) if at is not None})
        named = f" (line{'s' * (len(lines) > 1)} {' and '.join(map(str, lines))})" if lines else ""
        return Finding(
            f"{site.function} compares what the model made of some rows of the inputs with other rows of the targets"
            f"{named}: of tables of {orders.examples} rows both gave the same one at {orders.same_places:.0%} of the "
            f"places in {orders.apart} of {orders.calls} calls.",
            location=orders.targets,
            evidence={"calls": orders.calls, "same_places": orders.same_places, "one_loader": False},
            fix="Pick both with the same index: x[rows], y[rows].",
            patch=_one_pick(orders.inputs, orders.targets),
        )

    @staticmethod
    def _of_a_draw(run: Run, target: FreshTarget) -> Finding:
        site = next(s for s in run.loss_sites if s.index == target.site)
        alone = [s.index for s in run.loss_sites if s.train_calls] == [target.site]
        named = f"line {target.other.line}" if target.other else ""
        return Finding(
            f"The target of {site.function} is random numbers that are drawn anew for each of its {target.calls} calls "
            "and that nothing else is given: no input tells anything about them, so the best output is their mean"
            + (f". Numbers of the same shape are drawn once more at {named}." if named else "."),
            location=target.location or site.location,
            evidence={"calls": target.calls, "other_code": target.other.code if target.other else ""},
            severity=None if alone else "info",
            fix=f"Use one draw for both: that of this line in the place of the one at {named}." if named else "",
            patch=_one_draw(target),
        )

    @staticmethod
    def _upper_share(hits: int, n: int) -> float:
        """Clopper and Pearson's upper 99 % limit."""
        from scipy import stats  # type: ignore[import-untyped] # slow to import, and `list` needs it not

        return float(stats.beta.ppf(0.99, hits + 1, max(n - hits, 1)))

    @staticmethod
    def _upper_correlation(r: float, n: int) -> float:
        """Fisher's upper 99 % limit."""
        return math.tanh(math.atanh(min(r, 0.999999)) + 2.33 / math.sqrt(n - 3))

    @staticmethod
    def _orders(run: Run) -> tuple[list[Location], list[Location]]:
        """The lines that decide which example stands where, of inputs and of targets."""
        inputs = next((b.orders for b in run.batches if b.training and b.orders), [])
        return inputs, next((s.target_orders for s in run.loss_sites if s.target_orders and s.train_calls), [])

    def _paired(self, run: Run) -> str:
        """The patch that gives both one order, where each has one line of its own, or only one of them has."""
        inputs, targets = self._orders(run)
        apart = sorted({(at.line, at.file) for at in (*inputs, *targets) if (at in inputs) != (at in targets)})
        sides = {at in inputs for at in (*inputs, *targets) if (at in inputs) != (at in targets)}
        rules = ["unordered"] if len(apart) == 1 else ["order", "same-order"] if len(apart) == len(sides) == 2 else []
        if rules == ["unordered"]:
            apart = [(at.line, at.file) for at in [self._used(run, Location(apart[0][1], apart[0][0]))]]
        return "+".join(f"source:{rule}:{Path(file).name}:{line}" for rule, (line, file) in zip(rules, apart))

    @staticmethod
    def _used(run: Run, made: Location) -> Location:
        """The line that puts examples in the order which this line makes; often it is the same."""
        uses = (u.used for u in run.recorded(OrderUse) if (u.made.file, u.made.line) == (made.file, made.line))
        return next(uses, made)

    @classmethod
    def _location(cls, run: Run) -> Location | None:
        """Where the source decides which example stands where, else where the inputs come from."""
        batches = [b for b in run.batches if b.training]
        inputs, targets = cls._orders(run)
        # an index that both share parts nobody; of several, the last one departs from those before
        one_sided = [at for at in (*inputs, *targets) if (at in inputs) != (at in targets)]
        made = max(one_sided or [*inputs[:1], *targets[:1]], key=lambda at: at.line, default=None)
        if one_sided and len({at in inputs for at in one_sided}) == 1:
            # one order, for one of the two: the line that uses it forgets the other
            made = cls._used(run, made) if made is not None else None
        return (
            made
            or next((b.origin for b in batches if b.origin), None)
            or next((s.target_origin for s in run.loss_sites if s.target_origin), None)
            or run.plan.batch_location
        )


def _one_pick(one: Location | None, other: Location | None) -> str:
    if one is None or other is None or one.file != other.file:
        return ""
    return f"picks:{Path(one.file).name}:{one.line},{other.line}"


def _chosen(orders: SeparateOrders) -> bool:
    """Rows of one table are picked by those of the other, as a partner of the same class is."""
    one, other = orders.inputs, orders.targets
    together = orders.picked and one is not None and other is not None and one.file == other.file
    return together and one_picks_the_other(one.file, one.line, other.line)  # type: ignore[union-attr]


def _one_draw(target: FreshTarget) -> str:
    one, other = target.location, target.other
    if one is None or other is None or one.file != other.file or one.line == other.line:
        return ""
    return f"draws:{Path(one.file).name}:{one.line},{other.line}"
