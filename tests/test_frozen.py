"""Frozen dataclasses of ours behave as those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from dataclasses import field
from functools import cached_property
from typing import Any

import pytest

from flightcheck.frozen import _ONE_AT_A_TIME, frozen


@frozen
class Ours:
    """Some fields."""

    name: str
    sizes: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list, compare=False)
    hidden: str = field(default="", repr=False)

    @cached_property
    def length(self) -> int:
        return len(self.name)


@dataclasses.dataclass(frozen=True)
class Theirs:
    """The same fields."""

    name: str
    sizes: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list, compare=False)
    hidden: str = field(default="", repr=False)


@frozen
class Longer(Ours):
    """One more."""

    more: int = 0


@frozen
class Spoken:
    """Has a method of its own."""

    name: str

    def __repr__(self) -> str:
        return f"I am {self.name}"


@frozen
class Doubled:
    """Sees to its fields."""

    value: int
    seen: list[int] = field(default_factory=list)
    known: int = 5

    def __post_init__(self) -> None:
        self.seen.append(2 * self.value)


@pytest.mark.parametrize("first", [True, False])
def test_wrong_arguments_are_named(first: bool) -> None:
    made = frozen(type("Made", (), {"__annotations__": {"name": "str"}}))
    if not first:
        assert vars(made("a")) == {"name": "a"}  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"Made\.__init__\(\) missing 1 required positional argument: 'name'"):
        made()
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'size'"):
        made(name="a", size=1)  # type: ignore[call-arg]


def test_each_object_has_its_own_containers() -> None:
    assert Doubled(1).seen == [2]
    assert vars(Doubled(value=3, seen=[1])) == {"value": 3, "seen": [1, 6], "known": 5}
    assert Ours("a").notes is not Ours("a").notes
    assert dataclasses.replace(Longer("a", more=3), name="b") == Longer("b", more=3)


@pytest.mark.parametrize("name", ["name", "hidden", "new"])
def test_nothing_is_set_or_deleted_later(name: str) -> None:
    made = Ours("a")
    with pytest.raises(dataclasses.FrozenInstanceError, match=name):
        setattr(made, name, "b")
    with pytest.raises(dataclasses.FrozenInstanceError, match=name):
        delattr(made, name)
    assert vars(made) == {"name": "a", "sizes": (), "notes": [], "hidden": ""}


ARGUMENTS: list[tuple[Any, ...]] = [("a",), ("b",), ("a", (1, 2)), ("a", (), ["x"]), ("a", (), [], "y")]


@pytest.mark.parametrize("first", ARGUMENTS)
@pytest.mark.parametrize("second", ARGUMENTS)
def test_equal_and_hashed_as_the_library_does(first: tuple[Any, ...], second: tuple[Any, ...]) -> None:
    assert (Ours(*first) == Ours(*second)) == (Theirs(*first) == Theirs(*second))
    assert (hash(Ours(*first)) == hash(Ours(*second))) == (hash(Theirs(*first)) == hash(Theirs(*second)))


def test_objects_of_different_classes_are_not_equal() -> None:
    assert Ours("a") != Theirs("a")
    assert Ours("a") != Longer("a")
    assert Longer("a", more=1) != Longer("a")


def test_it_is_written_copied_and_taken_apart_as_ever() -> None:
    made = Longer("a", (3,), more=2)
    assert made.length == 1
    assert repr(made) == "Longer(name='a', sizes=(3,), notes=[], more=2)"
    assert dataclasses.replace(made, name="b") == Longer("b", (3,), more=2)
    assert dataclasses.asdict(made)["more"] == 2
    assert copy.deepcopy(made) == made == pickle.loads(pickle.dumps(made))
    assert repr(Spoken("it")) == "I am it"


def test_an_object_that_was_no_call_of_the_class_is_equal_and_hashed_too() -> None:
    """Unpickling, say: the class may not have had an object before."""
    made: Any = frozen(type("Made", (), {"__annotations__": {"name": "str", "sizes": "tuple"}, "sizes": ()}))
    one, other = made.__new__(made), made.__new__(made)
    vars(one).update(name="a", sizes=())
    vars(other).update(name="a", sizes=())
    assert hash(one) == hash(other) and one == other
    assert [f.name for f in dataclasses.fields(made)] == ["name", "sizes"]
    assert dataclasses.is_dataclass(made) and made("a") == one


def test_the_fields_of_a_class_without_objects_are_known() -> None:
    first: Any = frozen(type("First", (), {"__annotations__": {"name": "str"}}))
    second: Any = frozen(type("Second", (first,), {"__annotations__": {"size": "int"}, "size": 3}))
    assert [f.name for f in dataclasses.fields(second)] == ["name", "size"]
    assert vars(second("a")) == {"name": "a", "size": 3}


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns as often as Python can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_threads_that_make_the_first_objects_at_once() -> None:
    for _ in range(200):

        @frozen
        class Made:
            """Fields with each kind of default."""

            x: int
            notes: list[str] = field(default_factory=list)
            y: float = 1.0

        start = threading.Barrier(3)
        found: list[object] = []

        def make(made: Any = Made, start: threading.Barrier = start, found: list[object] = found) -> None:
            start.wait()
            try:
                found.append(made(1) == made(1))
            except BaseException as e:
                found.append(e)

        threads = [threading.Thread(target=make) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_a_child_that_is_forked_while_a_class_is_made_can_make_its_own() -> None:
    inside, go_on = threading.Event(), threading.Event()

    @frozen
    class Made:
        """By the child first."""

        x: int = 0

    def hold() -> None:
        with _ONE_AT_A_TIME:
            inside.set()
            go_on.wait(0.2)  # fork() waits for it

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if Made(3).x == 3 else 1)
    go_on.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0
    assert Made(2).x == 2
