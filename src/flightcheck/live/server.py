"""Serves the page of a run that goes on, to browsers of this machine and to whoever knows the address alone."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

HOST: Final = "127.0.0.1"
HEARTBEAT_SECONDS: Final = 10.0
"""Between two signs of life, by which it is noticed that a browser is gone."""
END: Final = "end"
Content = tuple[str, bytes]
"""Type and body of an answer."""


class Channel:
    """What browsers are told: the last event of each name, handed to every listener that has not had it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: dict[str, tuple[int, str]] = {}
        self._count = 0
        self.listeners = 0

    def publish(self, name: str, data: Any) -> None:
        """Tell everybody; an event that a slow listener has not had yet is replaced by the newer one."""
        with self._changed:
            self._count += 1
            self._events[name] = (self._count, json.dumps(data, allow_nan=False))
            self._changed.notify_all()

    def after(self, seen: int) -> tuple[int, list[tuple[str, str]]]:
        """Wait for what came after an event, in its order; nothing after `HEARTBEAT_SECONDS` without."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > seen, HEARTBEAT_SECONDS)
            new = sorted((number, name, data) for name, (number, data) in self._events.items() if number > seen)
            return self._count, [(name, data) for _, name, data in new]

    def leave(self) -> None:
        """A listener is gone."""
        with self._changed:
            self.listeners -= 1
            self._changed.notify_all()

    def join(self) -> None:
        """A listener is there."""
        with self._changed:
            self.listeners += 1
            self._changed.notify_all()

    def wait_until_alone(self, seconds: float) -> None:
        """Wait until no browser listens."""
        with self._changed:
            self._changed.wait_for(lambda: self.listeners == 0, seconds)


class PageServer(ThreadingHTTPServer):
    """Answers on the loopback address, on a port that is free, below a random path, and only when asked by that name.

    The path keeps other users of the machine out; the test of the ``Host`` header keeps out pages of other sites, which
    could reach it under a name of their own that they point to this machine.

    Args:
        answers: the answers by the last part of the path; called at each request, from its thread.
    """

    daemon_threads = True

    def __init__(self, answers: dict[str, Callable[[], Content]]) -> None:
        super().__init__((HOST, 0), _Handler)
        self.answers = answers
        self.channel = Channel()
        self.token = secrets.token_urlsafe(24)
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    @property
    def url(self) -> str:
        """The address for the browser."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no news."""

    def end(self, seconds: float) -> None:
        """Tell the browsers that it is over, let them fetch the last state, and stop."""
        self.channel.publish(END, {})
        self.channel.wait_until_alone(seconds)
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: PageServer
    server_version = "flightcheck"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """The page, its part that changes, or the stream of events."""
        if self.headers.get("Host", "") not in self.server.hosts:
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        _, token, *rest = self.path.partition("?")[0].split("/", 2)
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()) or len(rest) != 1:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        if rest[0] == "events":
            self._stream()
        elif rest[0] in self.server.answers:
            self._answer(rest[0])
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def _answer(self, name: str) -> None:
        try:
            kind, body = self.server.answers[name]()
        except Exception:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._begin(HTTPStatus.OK, kind, len(body))
        self.wfile.write(body)

    def _stream(self) -> None:
        """Server-sent events until the browser or the training is gone."""
        channel = self.server.channel
        channel.join()
        try:
            self._begin(HTTPStatus.OK, "text/event-stream")
            seen, ended = 0, False
            while not ended:
                seen, events = channel.after(seen)
                lines = [f"event: {name}\ndata: {data}\n\n" for name, data in events] or [": \n\n"]
                self.wfile.write("".join(lines).encode())
                ended = END in (name for name, _ in events)
            with suppress(OSError):  # the browser fetches the last state, then closes
                self.connection.settimeout(5)
                self.rfile.read(1)
        finally:
            channel.leave()

    def _begin(self, status: HTTPStatus, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in (
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Content-Security-Policy", "frame-ancestors 'none'"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()

    def _refuse(self, status: HTTPStatus) -> None:
        self._begin(status, "text/plain; charset=utf-8", 0)

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal belongs to the training."""
