"""One fresh start of one server, looked at before it is measured. What fails becomes the reason in its row.

Made by `plain`, `twins` and `crowded`, which say what is measured; attempted by `run`, in turn.
"""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import prepare
from measure import Target
from probe import Question, manners, wait_until_up
from processes import ServerFailed, last_line, running
from servers import Place, Server


@dataclass(frozen=True)
class Setup:
    """What holds for all measurements of a run."""

    seconds: int
    #: How often each server is started for each case.
    rounds: int
    #: How often two things that are compared at one start are measured in turn.
    pairs: int
    server_cpu: int
    load_cpu: int
    #: Where the crowd is played: a CPU of its own, if there is a third.
    crowd_cpu: int
    tapster: Path


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
    question: Question
    row: Row
    measure: Callable[[Target], None]


def place(app: str, setup: Setup, **more: int) -> Place:
    """Where an app is served; `more` as `Place` has it. The port is chosen at each start."""
    own = {"bin": prepare.VENV / "bin", "apps": prepare.APPS, "tapster": setup.tapster, "floor": prepare.FLOOR}
    return Place(app=app, port=0, **own, **more)


def attempt(trial: Trial, setup: Setup) -> None:
    """Starts the server, measures it, stops it."""
    try:
        with started(trial, setup) as target:
            trial.measure(target)
    except ServerFailed as failure:
        trial.row.reason = str(failure)


@contextmanager
def started(trial: Trial, setup: Setup) -> Iterator[Target]:
    """The server runs, and has answered, for the length of a `with` block."""
    where = replace(trial.place, port=free_port())
    log = prepare.FLOOR.parent / f"{re.sub(r'[^a-z0-9]+', '-', trial.name.lower())}.log"
    try:
        environment = {"BENCH_FILE": str(prepare.FILE)}
        with running(trial.server.argv(where), prepare.APPS, setup.server_cpu, log, environment) as process:
            wait_until_up(process, where.port)
            found = manners(where.port, trial.question)
            trial.row.notes = found.notes(trial.question)
            yield Target(where.port, process.pid, found.keeps_alive)
    except ServerFailed as failure:
        if failure.has_log:
            raise
        raise ServerFailed(f"{failure} (its log ends: {last_line(log)})", has_log=True) from failure


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
