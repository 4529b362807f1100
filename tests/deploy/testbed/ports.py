"""Free TCP ports for what shares the host's network."""

import random
import socket

#: Between the ports of the rest of the suite (harness/ports.py), which may run at the same time, and the kernel's own.
#: A unit keeps its port through many stops and starts, and nobody else may take it meanwhile.
_RANGE = range(30_000, 32_768)


def free_port():
    """A port of 127.0.0.1 that nothing listens on."""
    for _ in range(200):
        port = random.choice(_RANGE)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port found in 200 tries")
