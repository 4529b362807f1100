"""Idle clients: connections that have made one request each and are kept, held by this process. Used by `crowded`."""

import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from probe import Connection
from processes import ServerFailed

#: Descriptors beside the connections': of the server, the load, this program.
_OTHER_FILES = 500
#: `struct linger`, on with no time: closing resets the connection, so ten thousand ports are free again at once.
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class IdleConnections:
    count: int

    def lacking(self) -> str | None:
        """Raises this process's limit of open files, which the servers inherit; tells why if it can't."""
        needed = self.count + _OTHER_FILES
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < needed:
            highest = hard if hard == resource.RLIM_INFINITY else max(hard, needed)
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (needed, highest))
            except (ValueError, OSError):
                return f"needs {needed} open files, and {hard} are allowed: raise the limit by `ulimit -Hn {needed}`"
        return None

    @contextmanager
    def at(self, port: int, _cpu: int) -> Iterator[None]:
        """They are connected to the port for the length of a `with` block."""
        with ExitStack() as held:
            for number in range(1, self.count + 1):
                held.enter_context(_kept(port, number))
            yield

    def elsewhere(self, _cpu: int) -> nullcontext:
        """They cost nothing while they are idle, so where they are not they need not be anywhere else."""
        return nullcontext()


def _kept(port: int, number: int) -> Connection:
    """A connection that has had an answer."""
    try:
        connection = Connection(port)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.ask("/")
    except (OSError, ServerFailed) as error:
        raise ServerFailed(f"idle connection {number} was not served: {error}") from error
    return connection
