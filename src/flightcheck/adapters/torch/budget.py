"""How closely to look: a token bucket holds our measured cost under the budget."""

from __future__ import annotations

import time
from typing import Final

from flightcheck.adapters.torch.watch import LEARNING_STEPS, Watch

_AIM: Final = 0.85
"""Share of the budget that is spent on purpose: the rest covers what the clock cannot see (hook dispatch, caches)."""
_SHORT_STEP: Final = 0.0025
_SHORT_STEP_COST: Final = 50e-6
"""Steps under 2.5 ms may cost 50 µs whatever the budget says."""
_DENSE_AFTER_ALARM: Final = 8
_MOST_DEBT: Final = 4
"""Full measurements that may be owed; one slow round must not starve the watch for ever."""


class Budget:
    """Decides after each round whether the next one is measured in full."""

    def __init__(self, watch: Watch, share: float, dense_steps: int, longest_gap: int = 100) -> None:
        self.watch = watch
        self.share = share
        self.dense_steps = dense_steps
        """Rounds at the start that are measured in full whatever they cost."""
        self.longest_gap = longest_gap
        """Rounds after which one is measured whatever it costs: older statistics say nothing about a layer."""
        self.sampled_rounds = 0
        self.rounds = 0
        self.watching_time = 0.0
        self.watching_cost = 0.0
        self._credit = 0.0
        self._costs: list[float] = []
        self._alarm = 0
        self._unsampled = 0
        self._round_start = time.perf_counter()
        self._spent_before = 0.0

    def alarm(self) -> None:
        """Something is wrong: look at the next rounds closely."""
        self._alarm = _DENSE_AFTER_ALARM

    def end_round(self) -> bool:
        """Book the round that ends; True if the next one is to be measured in full."""
        now = time.perf_counter()
        duration = now - self._round_start
        cost = self.watch.spent - self._spent_before
        self._round_start, self._spent_before = now, self.watch.spent
        self.rounds += 1
        self.sampled_rounds += self.watch.sampled
        self._unsampled = 0 if self.watch.sampled else self._unsampled + 1
        if self.watch.sampled:
            self._costs = [*self._costs[-8:], cost]
        if self.rounds <= max(self.dense_steps, LEARNING_STEPS):
            return True
        self.watching_time += duration
        self.watching_cost += cost
        bare = max(duration - cost, 1e-9)
        allowance = max(self.share * _AIM * bare, _SHORT_STEP_COST if bare < _SHORT_STEP else 0.0)
        estimate = sorted(self._costs)[len(self._costs) // 4]
        balance = self._credit + allowance - min(cost, 2 * estimate)
        self._credit = max(min(balance, 4 * estimate), -_MOST_DEBT * estimate)
        self.watch.norms = self._credit >= 0
        if self._alarm:
            self._alarm -= 1
            return True
        return self._credit >= estimate or self._unsampled + 1 >= self.longest_gap

    @property
    def overhead(self) -> float | None:
        """Our share of the bare training time in the watching phase; None before half a second of it."""
        bare = self.watching_time - self.watching_cost
        return self.watching_cost / bare if bare > 0.5 else None
