"""The table of what is measured of each server alone. A new case is one more entry here; nothing else changes.

Read by `run`; an app named here lives in `apps/`. What is measured beside other clients is in `crowds.py`.
"""

from dataclasses import dataclass

import prepare
from load import NEW_CONNECTIONS, Load
from probe import Question
from servers import BJOERN, FASTWSGI, FLOOR, GRANIAN, GTHREAD, ROUTER, SYNC, TAPSTER, UWSGI, UWSGI_11
from wanted import CPU, RATE, SPEED, Wanted, at_least, at_most

MIB = 1024 * 1024


@dataclass(frozen=True)
class Case:
    """One kind of request, asked of servers at each number of connections."""

    name: str
    title: str
    #: `module:callable` in `apps/`.
    app: str
    path: str = "/"
    #: The body that the app must answer with, so that a fast error is never taken for a fast server; or its length.
    expect: bytes | int = b"Hello, World!"
    #: What is worth knowing, for the page.
    text: str = ""
    connections: tuple[int, ...] = (64,)
    #: Who is asked; all if empty.
    servers: tuple[str, ...] = ()
    #: Threads of those servers that have them (the others run as they are).
    threads: int = 1
    #: More arguments for wrk.
    wrk: tuple[str, ...] = ()
    #: Whether the bodies are large, so that bytes a second are what counts.
    transfers: bool = False
    #: Length of the body of each request, in bytes; only where it transfers.
    upload: int = 0
    #: What the app needs from PyPI, pinned in `tests/requirements.txt`.
    packages: tuple[str, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    #: Measured when `--case` names nothing.
    default: bool = True

    @property
    def question(self) -> Question:
        """What a server is asked before it is measured."""
        return Question(self.path, self.expect, self.upload, close=self.wrk == NEW_CONNECTIONS)

    def load(self, connections: int) -> Load:
        """What it is measured with."""
        return Load(connections, self.path, self.wrk, self.transfers, self.upload)


@dataclass(frozen=True)
class Twins:
    """One server in two sizes, which run side by side and are measured in turn."""

    name: str
    title: str
    app: str
    #: Of the first, which is the measure, and of the second.
    threads: tuple[int, int]
    wanted: tuple[Wanted, ...]
    server: str = TAPSTER
    load: Load = Load(64)
    question: Question = Question("/", b"Hello, World!")
    default: bool = True


_FRAMEWORK = {
    "servers": (TAPSTER, BJOERN, FASTWSGI, GRANIAN, ROUTER, GTHREAD, SYNC),
    "wanted": (at_least(2.5, RATE, SYNC), at_least(2.5, RATE, GTHREAD), at_least(0.97, RATE, BJOERN)),
}
_TRANSFERRING = (GRANIAN, BJOERN, UWSGI, UWSGI_11)
_TRANSFER = {
    "app": "transfers:app",
    "connections": (4,),
    "servers": (TAPSTER, *_TRANSFERRING),
    "transfers": True,
    "wanted": tuple(at_least(1.0, SPEED, server) for server in _TRANSFERRING),
}

CASES = (
    Case(
        name="hello",
        title="Hello-world over keep-alive",
        app="hello:app",
        connections=(8, 64),
        wanted=(
            at_most(0.90, CPU, FASTWSGI, 64),
            at_most(0.80, CPU, BJOERN, 64),
            at_most(0.45, CPU, GRANIAN, 64),
            at_most(1.40, CPU, FLOOR, 64),
        ),
    ),
    Twins(
        name="hello-threads",
        title="Hello-world with four threads",
        app="hello:app",
        threads=(1, 4),
        wanted=(at_most(1.05, CPU, "its own with 1 thread"),),
    ),
    Case(
        name="connect",
        title="A new connection for each request",
        app="hello:app",
        text="The client asks for the connection to be closed, and the server does so.",
        servers=(TAPSTER, BJOERN, FASTWSGI, GRANIAN, UWSGI, GTHREAD, SYNC),
        wrk=NEW_CONNECTIONS,
        wanted=(at_most(1.0, CPU, BJOERN),),
    ),
    Case(
        name="flask",
        title="Flask",
        app="flask_hello:app",
        text="Hello-world as in its quickstart.",
        expect=b"<p>Hello, World!</p>",
        packages=("Flask",),
        **_FRAMEWORK,
    ),
    Case(
        name="django",
        title="Django",
        app="django_hello:app",
        text="One view, with the apps and the middleware that `startproject` puts in.",
        packages=("Django",),
        **_FRAMEWORK,
    ),
    Case(
        name="sleep",
        title="An app that waits 10 ms",
        app="sleeps:app",
        text="`time.sleep(0.010)`, as for a database. Ideally 16 threads answer 1,600 requests a second.",
        servers=(TAPSTER, GRANIAN, UWSGI, GTHREAD),
        threads=16,
        wanted=(at_least(0.95, RATE, 1600.0),),
    ),
    Case(
        name="upload",
        title="1 MiB in",
        text="The app reads all of the body and answers its length.",
        path="/upload",
        expect=str(MIB).encode(),
        upload=MIB,
        **_TRANSFER,
    ),
    Case(
        name="download",
        title="1 MiB out",
        text="The body is one bytes object.",
        path="/download",
        expect=MIB,
        **_TRANSFER,
    ),
    Case(
        name="file",
        title="A file of 100 MiB out",
        text="By `wsgi.file_wrapper` where the server has it, else in blocks of 64 KiB.",
        path="/file",
        expect=prepare.FILE_SIZE,
        **_TRANSFER,
    ),
)
