"""Free TCP ports: below the kernel's ephemeral range, so that no outgoing connection takes one in between."""

import os
import random
import socket

_LOWEST = 10_000
_PER_PROCESS = 2_000
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
_random = random.Random(os.getpid())


def free_port():
    """A port of 127.0.0.1 that nothing listens on, from a range that only this test process uses."""
    for _ in range(200):
        port = _LOWEST + _worker * _PER_PROCESS + _random.randrange(_PER_PROCESS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port found in 200 tries")
