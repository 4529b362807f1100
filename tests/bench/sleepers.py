"""Clients that ask for a route that sleeps, again and again, so that a thread of the server is always asleep.

Played by threads of this process, which wait nearly all the time. Used by `crowded`.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from probe import Connection
from processes import ServerFailed

#: For an answer: the sleep itself, and what a server that is slow to take it up adds.
_ANSWER_DEADLINE_S = 20.0


@dataclass(frozen=True)
class Sleepers:
    count: int
    #: The route that sleeps.
    path: str

    def lacking(self) -> None:
        """They need nothing that could be lacking."""

    @contextmanager
    def at(self, port: int, _cpu: int) -> Iterator[None]:
        """They ask for the length of a `with` block, which ends when their last sleep has."""
        enough, failures = threading.Event(), []
        with ExitStack() as held:
            connections = [held.enter_context(Connection(port, _ANSWER_DEADLINE_S)) for _ in range(self.count)]
            threads = [
                threading.Thread(target=self._ask_on, args=(one, enough, failures), daemon=True) for one in connections
            ]
            try:
                for thread in threads:
                    thread.start()
                yield
            finally:
                enough.set()
                for thread in threads:
                    thread.join(_ANSWER_DEADLINE_S)
        if failures:
            raise ServerFailed(f"the route that sleeps was not served: {failures[0]}")

    def elsewhere(self, _cpu: int) -> nullcontext:
        """They cost nothing while they are not there."""
        return nullcontext()

    def _ask_on(self, connection: Connection, enough: threading.Event, failures: list[Exception]) -> None:
        try:
            while not enough.is_set():
                connection.ask(self.path)
        except (OSError, ServerFailed) as error:
            failures.append(error)
