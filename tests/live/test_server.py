"""Who is answered: browsers of this machine that know the address, under no other name."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from flightcheck.live.server import HOST, PageServer


@pytest.fixture
def server() -> Iterator[PageServer]:
    def broken() -> tuple[str, bytes]:
        raise OSError("no run")

    made = PageServer(
        {"": lambda: ("text/html", b"<p>page"), "part": lambda: ("application/json", b"{}"), "broken": broken}
    )
    yield made
    made.end(0.1)


def asked(server: PageServer, path: str, host: str | None = None, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    connection.request(method, path, headers={"Host": host} if host is not None else {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_the_address_answers(server: PageServer) -> None:
    path = server.url.removeprefix(f"http://{HOST}:{server.server_port}")
    assert asked(server, path) == (200, b"<p>page")
    assert asked(server, f"{path}part?x=1") == (200, b"{}")
    assert asked(server, path, host=f"localhost:{server.server_port}") == (200, b"<p>page")


@pytest.mark.parametrize("path", ["/", "//", "/part", "/wrong/", "/wrong/part", "/%00/", "/%C3%A9/"])
def test_no_answer_without_the_token(server: PageServer, path: str) -> None:
    assert asked(server, path) == (404, b"")


def test_no_answer_beside_the_page(server: PageServer) -> None:
    for path in (
        f"/{server.token}",
        f"/{server.token}/run.sqlite",
        f"/{server.token}/../part",
        f"/{server.token}//part",
    ):
        assert asked(server, path) == (404, b"")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1]:{port}"]
)
def test_no_answer_under_another_name(server: PageServer, host: str) -> None:
    """A page elsewhere may let its own name point to this machine; the browser then sends that name."""
    assert asked(server, f"/{server.token}/", host=host.format(port=server.server_port)) == (403, b"")


def test_nothing_but_reading(server: PageServer) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        assert asked(server, f"/{server.token}/", method=method)[0] == 501


def test_a_fault_is_a_status(server: PageServer) -> None:
    assert asked(server, f"/{server.token}/broken") == (503, b"")


def test_it_listens_on_the_loopback_address_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    other = PageServer({})
    assert other.server_port != server.server_port
    assert other.token != server.token
    assert len(other.token) >= 32
    other.end(0.1)


def test_no_address_is_told_to_others(server: PageServer) -> None:
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    connection.request("GET", f"/{server.token}/")
    headers = dict(connection.getresponse().getheaders())
    connection.close()
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert not [h for h in headers if h.startswith("Access-Control")]


def listen(server: PageServer) -> socket.socket:
    connection = socket.create_connection((HOST, server.server_port), timeout=10)
    connection.sendall(f"GET /{server.token}/events HTTP/1.1\r\nHost: {HOST}:{server.server_port}\r\n\r\n".encode())
    return connection


def until(connection: socket.socket, what: bytes) -> bytes:
    read = b""
    while what not in read:
        new = connection.recv(65536)
        assert new, read
        read += new
    return read


def test_events_come_in_order_and_only_the_newest_of_a_kind(server: PageServer) -> None:
    server.channel.publish("pulse", {"step": 1})
    server.channel.publish("page", 1)
    server.channel.publish("pulse", {"step": 2})
    connection = listen(server)
    read = until(connection, b"event: pulse").split(b"\r\n\r\n", 1)[1]
    assert read.index(b"event: page\ndata: 1\n\n") < read.index(b"event: pulse")
    assert b'{"step": 1}' not in read
    server.channel.publish("pulse", {"step": 3})
    assert json.loads(until(connection, b"}\n\n").split(b"data: ")[1]) in ({"step": 2}, {"step": 3})
    connection.close()


def test_a_browser_that_is_closed_is_noticed(server: PageServer) -> None:
    connection = listen(server)
    until(connection, b"\r\n\r\n")
    assert server.channel.listeners == 1
    connection.close()
    for step in range(50):
        server.channel.publish("pulse", {"step": step})
        time.sleep(0.02)
    server.channel.wait_until_alone(5)
    assert server.channel.listeners == 0


def test_the_end_waits_for_the_last_look_and_no_longer() -> None:
    server = PageServer({"part": lambda: ("application/json", b"{}")})
    connection = listen(server)
    until(connection, b"\r\n\r\n")
    ending = threading.Thread(target=server.end, args=(20.0,))
    ending.start()
    until(connection, b"event: end")
    assert asked(server, f"/{server.token}/part") == (200, b"{}")
    assert ending.is_alive()
    connection.close()
    ending.join(10)
    assert not ending.is_alive()
    with pytest.raises(OSError):
        socket.create_connection((HOST, server.server_port), timeout=1)
