"""One server for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harmless.processes import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A process that has imported torch."""
    made = Server(tmp_path_factory.mktemp("server"))
    yield made
    made.close()
