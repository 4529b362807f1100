"""Slow clients: `slowhttptest`, which opens many connections and does on each a little a second.

It spins while it waits, so it runs in the kernel's idle class beside wrk; and while the normal client is measured
without a crowd, the same slow clients are elsewhere: at a listener that accepts nobody. Those that read slowly have
nothing to do there, so they cost wrk less than beside the server. Used by `crowded`.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sockets import wait_established

_TOOL = "slowhttptest"
#: Longer than any measurement lasts; it is stopped before.
_LENGTH_S = 3600
_ARRIVAL_DEADLINE_S = 30.0
_STOP_DEADLINE_S = 10.0


@dataclass(frozen=True)
class SlowClients:
    count: int
    #: slowhttptest's mode and pace.
    arguments: tuple[str, ...]
    path: str = "/"

    def lacking(self) -> str | None:
        """Why this crowd can't be had here."""
        if shutil.which(_TOOL):
            return None
        return f"`{_TOOL}` is not on PATH; on Debian and Ubuntu `apt-get install {_TOOL}`"

    @contextmanager
    def at(self, port: int, cpu: int) -> Iterator[int]:
        """They are connected to the port for the length of a `with` block; yields the pid that plays them."""
        size = ["-c", str(self.count), "-r", str(self.count), "-l", str(_LENGTH_S)]
        command = ["taskset", "-c", str(cpu), "chrt", "--idle", "0", _TOOL, *self.arguments, *size]
        tool = subprocess.Popen(
            [*command, "-u", f"http://127.0.0.1:{port}{self.path}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_established(port, self.count, _ARRIVAL_DEADLINE_S)
            yield tool.pid
        finally:
            tool.kill()
            tool.wait(_STOP_DEADLINE_S)

    @contextmanager
    def elsewhere(self, cpu: int) -> Iterator[int]:
        """The same clients, with nobody to serve them."""
        with socket.create_server(("127.0.0.1", 0), backlog=2 * self.count) as nobody:
            with self.at(nobody.getsockname()[1], cpu) as pid:
                yield pid
