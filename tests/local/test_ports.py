from __future__ import annotations

import os
import socket
import threading
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


def test_one_platform_at_a_time_chooses_ports(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ports, "TURN", ports.choose(45431))
    said: list[str] = []
    first_has_ended = threading.Event()
    second_began = threading.Event()
    ended_before_second: list[bool] = []

    def second() -> None:
        def say(text: str) -> None:
            said.append(text)
            second_began.set()

        with ports.turn(say):
            ended_before_second.append(first_has_ended.is_set())

    waits = threading.Thread(target=second)
    with ports.turn(said.append):
        waits.start()
        assert second_began.wait(10)
        first_has_ended.set()
    waits.join(10)
    assert said == ["Another platform on this machine is starting: waiting until it has its ports"]
    assert ended_before_second == [True]


def test_a_turn_that_is_not_to_be_had_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server((ports.HOST, 0)) as foreign:
        monkeypatch.setattr(ports, "TURN", foreign.getsockname()[1])
        monkeypatch.setattr(ports, "TURN_SECONDS", 0.5)
        said: list[str] = []
        with ports.turn(said.append):
            assert len(said) == 1
