"""Clients that have nothing to do with what an application is made to do wrong, and must not notice it."""

import uuid

from .waiting import wait_until
from .wire import Wire


class Bystanders:
    """On connections to one worker: one that is idle, one with half an upload, and, with several threads, one whose
    request is in the application, which has the routes `pid`, `body` and `hold`. Use as a context manager.
    """

    def __init__(self, server, threads, folder):
        self.address = server.address
        self.is_held = threads > 1
        self.gate = folder / f"gate-{uuid.uuid4().hex}"
        self.wires = []

    def __enter__(self):
        self.idle, self.half = self._connect(), self._connect()
        self.pid = self.idle.exchange("/pid").text
        assert self.half.exchange("/pid").text == self.pid, "there is one worker"
        self.half.send("POST /body HTTP/1.1\r\nHost: test.example\r\nContent-Length: 10\r\n\r\nfirst")
        if self.is_held:
            self.held = self._connect().get(f"/hold?{self.gate}")
            wait_until(self.gate.with_name(f"{self.gate.name}.begun").exists, what="a request is in the application")
        return self

    def __exit__(self, *_):
        self.gate.touch()
        for wire in self.wires:
            wire.close()

    def _connect(self):
        self.wires.append(Wire(self.address, timeout=20))
        return self.wires[-1]

    def expect_unharmed(self):
        """Each goes on where it was, with the same worker, and gets its own answer."""
        assert self.idle.exchange("/pid").text == self.pid
        assert self.half.send("other").reply().body == b"firstother"
        if self.is_held:
            self.gate.touch()
            assert self.held.reply().body == b"held"
        for wire in self.wires:
            assert wire.exchange("/pid").text == self.pid
