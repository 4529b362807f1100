"""A load generator: keep-alive connections, one thread each, that count what became of every request sent."""

import threading
from collections import Counter

from .waiting import wait_until
from .wire import Truncated, Wire


class Load:
    """Requests one path over `connections` connections until stopped. Use as a context manager.

    As `wrk` does, it counts a request as lost if its connection was refused, broke or closed before the reply was
    whole, and connects anew when a reply says that the connection closes.
    """

    def __init__(self, address, path="/", connections=8, pause=0.0005):
        self.address = address
        self.path = path
        self.pause = pause
        #: (why, the body of the last reply on that connection or None) of each lost request.
        self.lost = []
        self.statuses = Counter()
        self.bodies = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def answered(self):
        """How many requests got a whole reply so far."""
        return sum(self.statuses.values())

    def wait_answered(self, more, deadline=10.0):
        """Waits until so many more requests were answered."""
        goal = self.answered + more
        wait_until(lambda: self.answered >= goal, deadline, lambda: f"{more} more answers; lost: {self.lost[:5]}")

    def stop(self):
        """Ends the load once each connection has its last reply."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a request of the load is still unanswered after 30 s"

    def _run(self):
        while not self._stop.is_set():
            try:
                wire = Wire(self.address, timeout=20)
            except OSError as error:
                self._lose(f"connect: {error!r}", None)
                self._stop.wait(0.01)
                continue
            with wire:
                self._use(wire)

    def _use(self, wire):
        last = None
        while not self._stop.is_set():
            try:
                reply = wire.exchange(self.path)
            except (OSError, Truncated) as error:
                self._lose(repr(error), last)
                return
            last = reply.body
            with self._lock:
                self.statuses[reply.status] += 1
                self.bodies[reply.body] += 1
            if (reply.header("connection") or "").lower() == "close":
                return
            self._stop.wait(self.pause)

    def _lose(self, why, last):
        with self._lock:
            self.lost.append((why, last))
