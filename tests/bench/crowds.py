"""The table of crowds: many clients that ask for little, and a normal client that must not notice them.

A new one is one more entry. Read by `run`; what a crowd does is a class in `slow.py` or `idle.py`.
"""

from dataclasses import dataclass

from idle import IdleConnections
from measure import Load
from slow import SlowClients


@dataclass(frozen=True)
class Contender:
    """A server that is measured under a crowd."""

    #: Its name in `servers.py`.
    server: str
    #: `None` for the one thread of a server that needs no more.
    threads: int | None = None

    @property
    def name(self) -> str:
        return self.server if self.threads is None else f"{self.server}, {self.threads} threads"


@dataclass(frozen=True)
class Normal:
    """The client whose throughput and latency are measured."""

    title: str
    load: Load


@dataclass(frozen=True)
class Crowd:
    """One kind of company for a normal client, at every contender."""

    name: str
    title: str
    #: What it is, and what is wanted, for the page.
    text: str
    members: SlowClients | IdleConnections
    normal: tuple[Normal, ...]
    contenders: tuple[Contender, ...]
    #: Settings of the servers; 0 leaves a server's default.
    keep_alive_s: int = 0
    worker_connections: int = 0
    #: `module:callable` in `apps/`.
    app: str = "guests:app"
    path: str = "/"
    expect: bytes = b"Hello, World!"
    #: How many times as many pairs as are asked for: a p99 needs more of them than a mean.
    times: int = 1
    #: Measured when `--case` names nothing.
    default: bool = True


_CONTENDERS = (Contender("tapster"), Contender("gunicorn gthread", 2), Contender("gunicorn gthread", 8))
_NORMAL = (
    Normal("8 kept connections", Load(8)),
    Normal("8 at a time, each request a new connection", Load(8, wrk=("-H", "Connection: close"))),
)
_WANTED = "Wanted: 0.95 of the requests per second or more."
_SLOW = 500

CROWDS = (
    Crowd(
        name="slow-headers",
        title="500 clients that send their headers slowly",
        text=f"Each sends a header line of a few bytes a second and never ends its head. {_WANTED}",
        members=SlowClients(_SLOW, ("-H", "-i", "1", "-x", "8")),
        normal=_NORMAL,
        contenders=_CONTENDERS,
    ),
    Crowd(
        name="slow-body",
        title="500 clients that send their body slowly",
        text=f"Each has announced 64 KiB and sends a few bytes of them a second; the app reads the body. {_WANTED}",
        members=SlowClients(_SLOW, ("-B", "-i", "1", "-x", "8", "-s", "65536")),
        normal=_NORMAL,
        contenders=_CONTENDERS,
    ),
    Crowd(
        name="slow-read",
        title="500 clients that read their reply slowly",
        text="Each reads 8 bytes a second of a reply of 4 MiB, more than the kernel takes off a server's hands. "
        + _WANTED,
        members=SlowClients(_SLOW, ("-X", "-n", "1", "-z", "8", "-w", "10", "-y", "20"), path="/large"),
        normal=_NORMAL,
        contenders=_CONTENDERS,
    ),
    Crowd(
        name="idle",
        title="10,000 idle connections",
        text="Each has made one request and is kept. Wanted: 4 KiB each or less, and 1.2 of the p99 or less.",
        members=IdleConnections(10_000),
        normal=(Normal("64 kept connections", Load(64)),),
        contenders=_CONTENDERS,
        keep_alive_s=600,
        worker_connections=12_000,
        times=4,
    ),
)
