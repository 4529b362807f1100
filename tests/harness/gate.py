"""A gate at which requests stay in an application until a test lets them go, with the interpreter's lock given away, fought
over or held. What the application does at it is in `apps/crowd.py`."""

import array
import fcntl
import os
import termios
from contextlib import ExitStack, contextmanager

from .waiting import wait_until

#: How a request can stay: `wait` gives the interpreter's lock away, `spin` runs Python code, `lock` holds the lock in C.
HOW = ("wait", "spin", "lock")


class Gate:
    """A pipe that requests read from. Each that comes writes its thread's name to a file, and tells so if it was let go."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._page = path.with_name(f"{path.name}.open")
        self._page.write_bytes(b"\0")
        self._inside = path.with_name(f"{path.name}.in")

    def inside(self):
        """The names of the threads in which a request has come so far, in order."""
        return self._inside.read_text().split() if self._inside.exists() else []

    def wait_inside(self, count=1):
        """Waits until so many requests have come."""
        wait_until(lambda: len(self.inside()) >= count, 20, lambda: f"{count} requests have come, not {self.inside()}")
        return self.inside()

    def let_go(self, count=1):
        """Lets so many requests go that do not spin."""
        os.write(self._pipe, b"." * count)

    def open(self):
        """Lets all go, and those that are yet to come."""
        # In place, since it is mapped: it must not be empty for a moment.
        with self._page.open("r+b") as page:
            page.write(b"\1")
        self.let_go(1000)

    def close(self):
        """Lets all go, and ends it."""
        self.open()
        os.close(self._pipe)

    @contextmanager
    def filled(self, server, count, how="wait"):
        """That many requests that are in the application, and are let go at the end. Where one holds the lock, the others
        can only wait for that; that they do is known on a Unix socket alone."""
        with ExitStack() as stack:
            wires = []
            for number in range(count):
                wire = stack.enter_context(server.wire(timeout=30)).get(f"/stay?{self.path},{how}")
                self.wait_inside(1 if how == "lock" else number + 1)
                wait_until(lambda wire=wire: how != "lock" or not unread(wire), 20, "its request is read")
                wires.append(wire)
            try:
                yield wires
            finally:
                self.open()


def unread(wire):
    """Whether something that was sent on a Unix socket has not been received."""
    count = array.array("i", [0])
    fcntl.ioctl(wire.socket, termios.TIOCOUTQ, count)
    return count[0] > 0
