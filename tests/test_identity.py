"""Tables by identity."""

from __future__ import annotations

import gc

from flightcheck.adapters.torch.identity import ByIdentity


class Thing:
    """Equal to every other, and without a hash."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_values_belong_to_one_object() -> None:
    table = ByIdentity[int]()
    one, other = Thing(), Thing()
    table[one] = 1
    assert table.get(one) == 1
    assert other not in table
    table[other] = 2
    assert [v for _, v in table.items()] == [1, 2]
    assert [t is one for t in table] == [True, False]
    assert (table.pop(one), table.pop(one)) == (1, None)


def test_dead_objects_leave_the_table() -> None:
    table = ByIdentity[int]()
    kept = Thing()
    table[kept] = -1
    for i in range(5000):
        table[Thing()] = i
    gc.collect()
    assert len(table._values) <= 1025
    assert [v for _, v in table.items()] == [-1]
