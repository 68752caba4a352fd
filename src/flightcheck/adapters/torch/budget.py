"""How closely to look: token buckets hold our measured cost under the budget.

What is given up first, where the budget is small: rows of the activations, then how often activations are looked at,
then how often weights and updates are, then gradients and the order of calls. The loss is read at every step.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Final

from flightcheck.adapters.torch.watch import DENSE_ROUNDS, LEARNING_STEPS, Watch

REST, GRADIENTS, WEIGHTS, OUTPUTS, FULL = range(5)
"""What is looked at in a round: the loss; also calls and gradients; weights and updates; activations; everything."""
_AIM: Final = 0.75
"""Share of the budget that is spent on purpose: the rest covers what the clock cannot see (caches, other frames).
With 0.85 our own clock told 1.5 to 1.8 % of steps over 20 ms, the processor's 1.1 to 2.9, by
``python -m benchmarks.overhead``.
"""
_SHORT_STEP: Final = 0.0025
_SHORT_STEP_COST: Final = 50e-6
"""Steps under 2.5 ms may cost 50 µs whatever the budget says."""
_HIDDEN: Final = 0.4
"""Beside such steps, the script's own code gets slower by so much of what ours takes (the caches that held a whole step
must hold us as well): 0.3 to 0.5 on a small network, by ``python -m benchmarks.overhead``."""
_STRETCHED: Final = 4
"""Times the longest gap that may pass where steps are short."""
_LONG_STEP: Final = 0.02
"""Steps beside which the dozen looks at the thread's own clock are nothing."""
_MOST_DENSE: Final = 64
_DENSE_AFTER_ALARM: Final = 8
_MOST_DEBT: Final = 4
"""Full measurements that may be owed; one slow round must not starve the watch for ever."""
_CLOCK_EVERY: Final = 16
"""Rounds between two looks at the clock of the processor: it takes 2 µs."""
_LONGEST_REST: Final = 0.04
"""Seconds for which rounds are rested without asking again: so much a killed run may lose."""
_MOST_AT_REST: Final = 50
_COSTS: Final = 9
_TRIED: Final = (REST,) * 3 + (GRADIENTS,) * 3 + (WEIGHTS,) * 4 + (OUTPUTS,) * 3
"""What rounds measure to learn what it costs: the first ones after the dense ones, and again when calls are recorded no
more, since till then no round is rested."""
_TRY_AGAIN: Final = 1000
_ROWS: Final = (64, 16, 4)
"""Rows of an activation that are looked at between full measurements: fewer, where each look is dear."""
_DEAR: Final = 8.0
"""Rounds whose spare allowance one look at the activations may take before it is given fewer rows."""


class Budget:
    """Decides after each round how closely to look at the next one."""

    def __init__(
        self, watch: Watch, share: float, dense_steps: int, longest_gap: int = 100, longest_gap_seconds: float = 0.0,
        *, dense_seconds: float = 0.0,
    ) -> None:  # fmt: skip
        self.watch = watch
        self.share = share
        self.dense_steps = max(dense_steps, LEARNING_STEPS)
        """Rounds at the start that are measured in full whatever they cost …"""
        self.dense_seconds = dense_seconds
        """… and more of them, up to 64, until they took us so long: a short training is over soon."""
        self.longest_gap = longest_gap
        """Rounds after which one is measured whatever it costs: older statistics say nothing about a layer."""
        self.longest_gap_seconds = longest_gap_seconds
        """Of short steps, as many as take so long, but not more than four times the longest gap."""
        self.unseen = 4e-6
        """Seconds per round that our wrappers cost outside of what they measure."""
        self.cheap = True
        """The compiled kernel measures all weights in one call: looking at every step can be afforded."""
        self.on_processor = True
        """The training runs on the processor, whose time does not pass while other programs have it."""
        self.rounds = 0
        self.sampled_rounds = 0
        self.looks = [0] * (FULL + 1)
        """Rounds of the watching phase that were measured at least so closely."""
        self.watching_bare = 0.0
        self.watching_cost = 0.0
        self.resting = False
        """Nothing is asked for in the next rounds but the loss and what one call of the kernel tells."""
        self._level = FULL
        self._costs = [deque[float](maxlen=_COSTS) for _ in range(FULL + 1)]
        self._on_device = [0.0] * (FULL + 1)
        """Seconds that a graphics card takes for a look of each level, which no clock of the processor sees."""
        self._estimates = [0.0] * (FULL + 1)
        self._full = self._outputs = 0.0
        """Seconds saved up for full measurements, and for looks at the activations."""
        self._for_full = 0.0
        """What a round adds to the former."""
        self._booked = 1
        """Rounds that are booked at once."""
        self._to_try: list[int] = []
        self._trying = False
        """The next round is measured only to learn what that costs."""
        self._alarm = 0
        self._unsampled = 0
        self._bare = 0.0
        self._recent = deque[float](maxlen=_CLOCK_EVERY)
        self._since = (time.perf_counter(), time.process_time(), 0.0, 0)
        """When the processor's clock was last read: both clocks, what we had spent, rounds."""
        self._spent_before = 0.0

    def alarm(self) -> None:
        """Something is wrong: look at the next rounds closely."""
        self._alarm = _DENSE_AFTER_ALARM

    def took_on_device(self, level: int, seconds: float) -> None:
        """A graphics card took so long for a look. It may have had nothing else to do: the cost is an upper bound."""
        known = self._on_device[level]
        self._on_device[level] = seconds if not known else known + (seconds - known) / _COSTS

    def back(self) -> None:
        """Watching goes on after a time that was no training of ours."""
        self._spent_before = self.watch.spent
        self._since = (time.perf_counter(), time.process_time(), self.watch.spent, self.rounds)

    def end_round(self, count: int = 1) -> bool:
        """Book the round that ends (or so many, all at rest but perhaps the last one), and decide about the next one;
        True if that one is to be measured in full.
        """
        now = time.perf_counter()
        level = FULL if self.watch.sampled else self._level
        hidden = 1 + _HIDDEN if 0 < self._bare < _SHORT_STEP else 1
        cost = hidden * (self.watch.spent - self._spent_before) / count + self.unseen + self._on_device[level]
        self._spent_before = self.watch.spent
        self.rounds += count
        self.sampled_rounds += level == FULL
        self._unsampled = 0 if level == FULL else self._unsampled + count
        self._note(level, cost)
        if self.rounds == self.dense_steps < _MOST_DENSE and self.watch.spent < self.dense_seconds:
            self.dense_steps += 1
        dense = self.rounds <= self.dense_steps
        self._read_clocks(now, dense)
        self.watch.may_wait = dense or self._alarm > 0 or self.watch.learning
        if dense:
            return self._look_at(FULL)
        self.watching_bare += count * self._bare
        self.watching_cost += count * self._usual(level, cost)
        for closer in range(level + 1):
            self.looks[closer] += count
        self._booked = count
        return self._look_at(self._next(level, cost))

    @property
    def rounds_at_rest(self) -> int:
        """How many rounds may be rested before `end_round` must be asked again: until something else is due, and not
        for long, since what they give is not written before.
        """
        if self._trying:
            return 1
        waits = [
            _MOST_AT_REST,
            self._gap - self._unsampled - 1,
            _TRY_AGAIN - (self.rounds - self.dense_steps - 1) % _TRY_AGAIN,
        ]
        if self._bare > 0:
            waits.append(int(_LONGEST_REST / self._bare))
        if self._for_full > 0:
            missing = self._estimates[FULL] - self._estimates[self._level] - self._full
            waits.append(math.ceil(missing / self._for_full))
        return max(1, min(waits))

    # -- what a round is worth ----------------------------------------------------------------------------------

    def _read_clocks(self, now: float, dense: bool) -> None:
        """How long a round takes without us: on the clock that other programs do not move, if there is one."""
        wall, processor, spent, rounds = self._since
        count = self.rounds - rounds
        if count < _CLOCK_EVERY and not dense:
            return
        new = time.process_time()
        taken = now - wall
        if self.on_processor:  # the processor's clock counts every thread, so it may be the faster of the two
            taken = min(taken, new - processor)
        self._since = (now, new, self.watch.spent, self.rounds)
        bare = max(taken - (self.watch.spent - spent), 0.2 * taken) / count
        self._recent.append(bare)
        self._bare = sorted(self._recent)[len(self._recent) // 2] if dense else bare

    def _note(self, level: int, cost: float) -> None:
        self._costs[level].append(cost)
        self._estimate()

    def _estimate(self) -> None:
        """What a round of each level costs: the lower quartile, which other programs and cold caches do not raise, and
        never more than that of a closer level; of a level that was never measured, what the next closer one does.
        """
        known = math.inf
        for level in (FULL, OUTPUTS, WEIGHTS, GRADIENTS, REST):
            costs = self._costs[level]
            if costs:
                known = min(known, sorted(costs)[len(costs) // 4])
            self._estimates[level] = known

    def _usual(self, level: int, cost: float) -> float:
        """A cost, at most twice what its level costs usually: more is another program's time."""
        return min(cost, 2 * self._estimates[level])

    @property
    def _gap(self) -> int:
        """The longest gap, in rounds."""
        if not 0 < self._bare < _SHORT_STEP:
            return self.longest_gap
        stretched = min(_STRETCHED * self.longest_gap, int(self.longest_gap_seconds / self._bare))
        return max(self.longest_gap, stretched)

    @property
    def allowance(self) -> float:
        """Seconds that an average round may cost."""
        return _AIM * max(self.share * self._bare, _SHORT_STEP_COST if self._bare < _SHORT_STEP else 0.0)

    # -- the next round -----------------------------------------------------------------------------------------

    def _next(self, level: int, cost: float) -> int:
        if self.rounds % _TRY_AGAIN == (self.dense_steps + 1) % _TRY_AGAIN or self.rounds == DENSE_ROUNDS:
            self._to_try = list(_TRIED)
        self._trying = False
        full = self._estimates[FULL]
        ordinary = WEIGHTS if self.cheap and self._pays(WEIGHTS) else GRADIENTS if self._pays(GRADIENTS) else REST
        self.watch.every_step = ordinary == WEIGHTS
        floor = self._estimates[ordinary]
        spare = self.allowance - floor
        self._book(level, cost, floor, spare, full)
        if self._alarm:
            self._alarm -= 1
            return FULL
        if self._unsampled + 1 >= self._gap or self._full >= full - floor:
            return FULL
        if self._to_try:
            self.watch.every_step, self._trying = self.cheap, True  # measured as it would be used
            return self._to_try.pop(0)
        looks = self._estimates[OUTPUTS] - floor
        if self._costs[OUTPUTS] and spare > 0 and looks > _DEAR * spare:
            self._fewer_rows()
        if self._outputs >= looks and spare > 0:
            return OUTPUTS
        return ordinary

    def _pays(self, level: int) -> bool:
        """So much is measured at every step where that leaves enough for a full measurement now and then."""
        cost, full = self._estimates[level], self._estimates[FULL]
        return bool(self._costs[level]) and cost + (full - cost) / self._gap <= self.allowance

    def _book(self, level: int, cost: float, floor: float, spare: float, full: float) -> None:
        """Half of what an ordinary round leaves is for each, and for full measurements what the longest gap asks for
        at least; a look is paid from its own part.
        """
        paid = self._booked * (self._usual(level, cost) - floor)
        self._for_full = max(spare / 2, min(spare, (full - floor) / self._gap))
        self._full += self._booked * self._for_full
        self._outputs += self._booked * (spare - self._for_full)
        if level == FULL:
            self._full -= paid
        else:
            self._outputs -= paid
        self._full = max(min(self._full, 4 * full), -_MOST_DEBT * full)
        looks = self._estimates[OUTPUTS]
        self._outputs = max(min(self._outputs, 4 * looks), -_MOST_DEBT * looks)

    def _fewer_rows(self) -> None:
        fewer = [r for r in _ROWS if r < self.watch.rows]
        if fewer:
            self.watch.rows = fewer[0]
            self._costs[OUTPUTS].clear()
            self._estimate()
            self._to_try = [OUTPUTS] * 3

    def _look_at(self, level: int) -> bool:
        watch = self.watch
        self._level = watch.level = level
        watch.weights = level >= WEIGHTS
        watch.outputs = level >= OUTPUTS
        precise = level == FULL or self._bare >= (_SHORT_STEP if level == OUTPUTS or self._to_try else _LONG_STEP)
        watch.clock = time.thread_time if precise else time.perf_counter
        watch.norms = level >= GRADIENTS
        in_one_call = self.cheap and self.on_processor and level <= WEIGHTS
        self.resting = level == REST or (in_one_call and (level < WEIGHTS or watch.every_step))
        return level == FULL

    # -- the report ---------------------------------------------------------------------------------------------

    def cadence(self) -> dict[str, float]:
        """Mean distance of two looks in the watching phase."""
        watched = self.rounds - self.dense_steps
        if watched <= 0:
            return {}
        names = (("gradients", GRADIENTS), ("weights", WEIGHTS), ("activations", OUTPUTS), ("everything", FULL))
        return {name: watched / max(1, self.looks[level]) for name, level in names}

    @property
    def overhead(self) -> float | None:
        """Our share of the bare training time in the watching phase; None before half a second of it."""
        return self.watching_cost / self.watching_bare if self.watching_bare > 0.5 else None

    @property
    def overhead_seconds(self) -> float | None:
        """What we cost in a round of the watching phase; None where the share is not known."""
        watched = self.rounds - self.dense_steps
        return self.watching_cost / watched if watched > 0 and self.overhead is not None else None
