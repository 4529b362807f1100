"""One fresh start of one server, looked at before it is measured. What fails becomes the reason in its row.

Made by `plain` and `crowded`, which say what is measured; attempted by `run`, in turn.
"""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import prepare
from measure import Target
from probe import manners, wait_until_up
from processes import ServerFailed, last_line, running
from servers import Place, Server


@dataclass(frozen=True)
class Setup:
    """What holds for all measurements of a run."""

    seconds: int
    #: How often a crowd comes to a server and goes.
    pairs: int
    server_cpu: int
    load_cpu: int
    #: Where the crowd is played: a CPU of its own, if there is a third.
    crowd_cpu: int


@dataclass
class Row:
    """What is known of one server in one table."""

    notes: list[str] = field(default_factory=list)
    #: Why it was not measured, or not to the end.
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    name: str
    server: Server
    place: Place
    path: str
    #: The body that it must answer with.
    expect: bytes
    row: Row
    measure: Callable[[Target], None]


def place(app: str, **more: int) -> Place:
    """Where an app is served; `more` as `Place` has it. The port is chosen at each start."""
    own = {"bin": prepare.VENV / "bin", "apps": prepare.APPS, "tapster": prepare.TAPSTER, "floor": prepare.FLOOR}
    return Place(app=app, port=0, **own, **more)


def attempt(trial: Trial, setup: Setup) -> None:
    """Starts the server, measures it, stops it."""
    where = replace(trial.place, port=_free_port())
    log = prepare.FLOOR.parent / f"{re.sub(r'[^a-z0-9]+', '-', trial.name.lower())}.log"
    try:
        with running(trial.server.argv(where), prepare.APPS, setup.server_cpu, log) as process:
            wait_until_up(process, where.port)
            found = manners(where.port, trial.path, trial.expect)
            trial.row.notes = found.notes()
            trial.measure(Target(where.port, process.pid, found.keeps_alive))
    except ServerFailed as failure:
        trial.row.reason = f"{failure} (its log ends: {last_line(log)})"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
