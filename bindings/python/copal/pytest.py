"""For pytest: the fixture ``copal_sim``, a fresh copal.Sim(seed=7) for each
test, ``copal_sim.set_path(loss=20)`` in it for a network that loses. Installed
packages bring it along; otherwise ``-p copal.pytest``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ._sim import Sim


@pytest.fixture
def copal_sim() -> Iterator[Sim]:
    """A simulated network of its own, closed after the test."""
    with Sim(seed=7) as sim:
        yield sim
