from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from local import ports
from local.errors import LocalError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server((ports.HOST, 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_chosen_as_preferred(taken: int):
    free = ports.choose(taken)
    assert free > taken
    assert ports.choose(free) == free


def test_a_taken_port_gives_way_to_the_next_that_no_other_part_has(taken: int):
    first = ports.choose(taken)
    assert ports.choose(taken, {first}) > first


def test_a_port_is_free_again_when_its_server_has_gone():
    with socket.create_server((ports.HOST, 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
    assert ports.is_free(port)


def test_a_server_on_every_interface_takes_the_port():
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - what is tested
        assert not ports.is_free(server.getsockname()[1])


def test_no_free_port_is_said_with_the_range(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ports, "is_free", lambda _port: False)
    with pytest.raises(LocalError, match="No free port from 15432 to 15631"):
        ports.choose(15432)


def test_the_server_of_a_port_is_known_by_its_process(taken: int):
    assert ports.listens(os.getpid(), taken)
    assert not ports.listens(os.getppid(), ports.choose(taken))
