"""Local variables are read without keeping alive what the script lets go of."""

from __future__ import annotations

import sys
import weakref

import torch

from flightcheck.adapters.torch.frames import local


def read() -> object:
    return local(sys._getframe(1), "epoch")


def test_what_a_function_lets_go_of_is_freed() -> None:
    def training() -> weakref.ref[torch.Tensor]:
        epoch, batch = 3, torch.ones(4)
        seen = weakref.ref(batch)
        assert read() == epoch
        del batch
        assert seen() is None
        return seen

    training()


def test_a_missing_name_and_a_module() -> None:
    assert local(sys._getframe(0), "nothing", 7) == 7
    names: dict[str, object] = {"local": local, "sys": sys, "value": 5}
    exec("found = local(sys._getframe(0), 'value')\nstill = value", names)
    assert (names["found"], names["still"]) == (5, 5)
