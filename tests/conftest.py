"""What holds for every test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.harmless.processes import Server


@pytest.fixture(autouse=True)
def _nothing_stays_watched() -> Iterator[None]:
    """An observer that a test left installed would be counted and timed in the tests after it."""
    yield
    nn = sys.modules.get("torch.nn")
    assert nn is None or nn.Module.__call__ is nn.Module._wrapped_call_impl, "an observer is still installed"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Starts scripts in forks of a process that has imported torch, one for all tests."""
    made = Server(tmp_path_factory.mktemp("server"))
    yield made
    made.close()
