"""Free TCP ports: below the kernel's ephemeral range, so that no outgoing connection takes one in between, and of a block
that no other test process of this machine uses."""

import fcntl
import functools
import random
import socket
import tempfile
from pathlib import Path

_LOWEST = 10_000
_PER_BLOCK = 500
_BLOCKS = 44
_random = random.Random()


@functools.cache
def _block():
    """The first port of this process's own block, and the locked file that holds it until the process ends."""
    for number in range(_BLOCKS):
        lock = (Path(tempfile.gettempdir()) / f"tapster-test-ports-{number}").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        return _LOWEST + number * _PER_BLOCK, lock
    raise AssertionError(f"{_BLOCKS} test processes have taken all the ports there are for tests")


def free_port():
    """A port of 127.0.0.1 that nothing listens on, from a range that only this test process uses."""
    lowest, _ = _block()
    for _ in range(200):
        port = lowest + _random.randrange(_PER_BLOCK)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port found in 200 tries")
