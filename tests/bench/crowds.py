"""The table of crowds: many clients that ask for little, and a normal client that must not notice them.

A new one is one more entry. Read by `run`; what a crowd does is a class in `slow.py`, `idle.py` or `sleepers.py`.
"""

from dataclasses import dataclass

from idle import IdleConnections
from load import NEW_CONNECTIONS, Load
from probe import Question
from servers import GRANIAN, GTHREAD, TAPSTER
from sleepers import Sleepers
from slow import SlowClients
from wanted import P99, RATE, Metric, Wanted, at_least, at_most


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
    #: What it is, for the page.
    text: str
    members: SlowClients | IdleConnections | Sleepers
    normal: tuple[Normal, ...]
    contenders: tuple[Contender, ...]
    #: Of tapster's normal clients, beside the crowd against without it.
    wanted: tuple[Wanted, ...]
    #: Settings of the servers; 0 leaves a server's default.
    keep_alive_s: int = 0
    worker_connections: int = 0
    #: `module:callable` in `apps/`.
    app: str = "guests:app"
    path: str = "/"
    expect: bytes = b"Hello, World!"
    #: How many times as many pairs of tapster as are asked for: a p99 needs more of them than a mean.
    times: int = 1
    #: Measured when `--case` names nothing.
    default: bool = True

    @property
    def question(self) -> Question:
        """What a server is asked before it is measured."""
        return Question(self.path, self.expect)

    def pairs(self, contender: Contender, asked: int) -> int:
        """How many pairs are measured of a server; of a peer, of which nothing is wanted, half of what is asked for."""
        return asked * self.times if contender.server == TAPSTER else max(asked // 2, 1)


_CONTENDERS = (Contender(TAPSTER), Contender(GTHREAD, 2), Contender(GTHREAD, 8))
_NORMAL = (
    Normal("8 kept connections", Load(8)),
    Normal("8 at a time, each request a new connection", Load(8, wrk=NEW_CONNECTIONS)),
)
#: What a figure beside a crowd is compared with.
_ALONE = "that without them"
_HARDLY_SLOWER = (at_least(0.95, RATE, _ALONE),)
#: What one of a crowd costs: of a row, where the other metrics are of a sample.
_MEMORY = Metric("KiB each", lambda row: row.kib_each)
_SLOW = 500

CROWDS = (
    Crowd(
        name="beside-sleeper",
        title="A client that keeps a thread asleep",
        text="It asks for a route that sleeps 2 s, again and again; the normal client asks for another one.",
        members=Sleepers(1, "/long"),
        normal=(Normal("8 kept connections", Load(8, "/fast")),),
        contenders=(Contender(TAPSTER, 2), Contender(GRANIAN, 2), Contender(GTHREAD, 2)),
        wanted=(at_most(2.0, P99, _ALONE),),
        app="sleeps:app",
        path="/fast",
        times=4,
    ),
    Crowd(
        name="slow-headers",
        title="500 clients that send their headers slowly",
        text="Each sends a header line of a few bytes a second and never ends its head.",
        members=SlowClients(_SLOW, ("-H", "-i", "1", "-x", "8")),
        normal=_NORMAL,
        contenders=_CONTENDERS,
        wanted=_HARDLY_SLOWER,
    ),
    Crowd(
        name="slow-body",
        title="500 clients that send their body slowly",
        text="Each has announced 64 KiB and sends a few bytes of them a second; the app reads the body.",
        members=SlowClients(_SLOW, ("-B", "-i", "1", "-x", "8", "-s", "65536")),
        normal=_NORMAL,
        contenders=_CONTENDERS,
        wanted=_HARDLY_SLOWER,
    ),
    Crowd(
        name="slow-read",
        title="500 clients that read their reply slowly",
        text="Each reads 8 bytes a second of a reply of 4 MiB, more than the kernel takes off a server's hands.",
        members=SlowClients(_SLOW, ("-X", "-n", "1", "-z", "8", "-w", "10", "-y", "20"), path="/large"),
        normal=_NORMAL,
        contenders=_CONTENDERS,
        wanted=_HARDLY_SLOWER,
    ),
    Crowd(
        name="idle",
        title="10,000 idle connections",
        text="Each has made one request and is kept.",
        members=IdleConnections(10_000),
        normal=(Normal("64 kept connections", Load(64)),),
        contenders=_CONTENDERS,
        wanted=(at_most(1.2, P99, _ALONE), at_most(1.0, _MEMORY, 4.0)),
        keep_alive_s=600,
        worker_connections=12_000,
        times=4,
    ),
)
