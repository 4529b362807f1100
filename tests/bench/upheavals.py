"""The table of scenarios: what is done to each server under the load of clients that count. A new one is one more entry.

Read by `lost`. A scenario does something, and waits for what comes of it; it judges nothing. What became of the requests
is the clients' to say.
"""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import prepare

# The exact client stands alone there, so that it can be had without the suite's pytest.
sys.path.append(str(prepare.HERE.parent / "harness"))

from exact import FAILURES, Ask, Connection, Exact, Failed  # noqa: E402
from storm import Storm  # noqa: E402
from upheld import STEP_S, Site, Stopped, Upheld, is_alive  # noqa: E402

#: After something that brings nothing that could be waited for: for so long, or so many requests, nothing else may happen.
_AFTERWARDS_S = 5.0
_AFTERWARDS = 500
#: So long a worker has served at least before the next one is killed.
_AGE_S = 1.2


@dataclass
class Outcome:
    """What came of one scenario with one server."""

    sent: int = 0
    #: Requests that failed, by the way in which.
    fates: Counter = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    #: How often it was done.
    times: int = 0
    #: Whether it answers at the end.
    serves: bool = False
    #: Whether what answers then is more than workers whose arbiter is gone.
    is_led: bool = True
    seconds: float = 0.0
    #: What wrk counted, where it was the load.
    storm: Storm | None = None
    #: Why there is nothing to tell.
    reason: str = ""

    @property
    def failed(self) -> int:
        return self.fates.total()


@dataclass(frozen=True)
class Upheaval:
    name: str
    title: str
    #: What is done, for the page.
    text: str
    #: How often, unless something else is asked for.
    times: int
    run: Callable[[Upheld, Exact, int, Outcome], None]
    #: Whether it is done under wrk too.
    stormy: bool = False
    #: Makes the server's end the point of it: it is not asked whether it serves then, and nobody else asks meanwhile.
    final: bool = False
    #: More of what it is started from.
    site: dict = field(default_factory=dict, hash=False)


def answered(load: Exact, more: int, upheld: Upheld) -> None:
    """Waits for so many more right answers."""
    goal = load.answered + more
    upheld.wait(lambda: load.answered >= goal, f"{more} more answers")


def serves(upheld: Upheld, deadline_s: float = 10.0) -> bool:
    """Whether a request on a new connection is answered right, at the latest at the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        with suppress(Failed):
            connection = Connection(upheld.address, deadline_s)
            connection.exchange(Ask(), 1, close=True)
            connection.close()
            return True
        time.sleep(0.05)
    return False


def _living(load: Exact) -> set[int]:
    return {pid for pid in load.pids() if is_alive(pid)}


def _renewed(upheld: Upheld, load: Exact, before: set[int]) -> None:
    """Waits until none of those lives, and others answer."""
    gone = lambda: not any(map(is_alive, before)) and _living(load) - before  # noqa: E731
    upheld.wait(gone, "all of its workers are new")


def _hups(upheld: Upheld, load: Exact, times: int, outcome: Outcome) -> None:
    for number in range(2, times + 2):
        before = _living(load)
        upheld.deploy(str(number))
        upheld.signal(signal.SIGHUP)
        _renewed(upheld, load, before)
        answered(load, 20, upheld)
    if str(times + 1) not in load.versions():
        outcome.notes.append("no new code was ever served")


def _ttin(upheld: Upheld, load: Exact, times: int, _outcome: Outcome) -> None:
    answered(load, 20, upheld)
    for _ in range(times):
        before = len(upheld.processes())
        upheld.signal(signal.SIGTTIN)
        upheld.wait(lambda: len(upheld.processes()) > before, "one worker more")
        answered(load, 50, upheld)
        upheld.signal(signal.SIGTTOU)
        upheld.wait(lambda: len(upheld.processes()) <= before, "one worker fewer")
        answered(load, 50, upheld)


def _upgrades(upheld: Upheld, load: Exact, times: int, _outcome: Outcome) -> None:
    for number in range(2, times + 2):
        upheld.deploy(str(number))
        old, before = upheld.root(), upheld.processes()
        upheld.signal(signal.SIGUSR2)
        upheld.wait(lambda: str(number) in load.versions(), "the successor answers")
        told = upheld.kind.beside
        upheld.wait(lambda: not told or upheld.log().count(told) == number - 1, "the log says that the successor serves")
        # The graceful end, which both know; by QUIT gunicorn cuts off what runs.
        os.kill(old, signal.SIGTERM)
        upheld.wait(lambda: not upheld.processes() & before, "the predecessor is gone")
        upheld.wait(lambda: upheld.pid_in_file() not in (0, old), "the pid file names the successor")
        answered(load, 50, upheld)


def _recycling(upheld: Upheld, load: Exact, times: int, outcome: Outcome) -> None:
    answered(load, times, upheld)
    outcome.notes.append(f"{len(load.pids())} workers")


def _afterwards(upheld: Upheld, load: Exact) -> None:
    """Gives what is bound to happen the time to happen."""
    end, goal = time.monotonic() + _AFTERWARDS_S, load.sent + _AFTERWARDS
    while upheld.is_up() and time.monotonic() < end and (load.sent < goal or time.monotonic() < end - 3):
        time.sleep(0.02)


def _broken_code(upheld: Upheld, load: Exact, _times: int, outcome: Outcome) -> None:
    answered(load, 50, upheld)
    upheld.deploy(None)
    upheld.signal(signal.SIGHUP)
    upheld.wait(lambda: "SyntaxError" in upheld.log(), "the log says what is wrong")
    _afterwards(upheld, load)
    _mend(upheld, load, outcome)


def _broken_settings(upheld: Upheld, load: Exact, _times: int, outcome: Outcome) -> None:
    answered(load, 50, upheld)
    upheld.set_workers('"many"')
    said = len(upheld.log())
    upheld.signal(signal.SIGHUP)
    upheld.wait(lambda: "many" in upheld.log()[said:] or "int" in upheld.log()[said:], "the log says what is wrong")
    _afterwards(upheld, load)
    upheld.set_workers(upheld.site.workers)
    _mend(upheld, load, outcome)


def _mend(upheld: Upheld, load: Exact, outcome: Outcome) -> None:
    """The next deploy is a good one."""
    if not upheld.is_up():
        raise Stopped(upheld.end())
    upheld.deploy("2")
    upheld.signal(signal.SIGHUP)
    upheld.wait(lambda: "2" in load.versions(), "the next deploy is served")
    outcome.notes.append("the next deploy is served")


def _kills(upheld: Upheld, load: Exact, times: int, outcome: Outcome) -> None:
    chance = random.Random(1)
    answered(load, 50, upheld)
    dead = set()
    for _ in range(times):
        known = load.pids()
        victim = chance.choice(sorted(_living(load)))
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        dead.add(victim)
        upheld.wait(lambda: load.pids() - known, "its successor answers")
        # What dies within a second of its start, again and again, is taken for what can't live, and started ever more slowly.
        time.sleep(_AGE_S)
        answered(load, 50, upheld)
    elsewhere = sum(failure.last_pid not in (None, *dead) for failure in load.failures)
    if elsewhere:
        outcome.notes.append(f"**{elsewhere} of them elsewhere than in a killed worker**")


def _drain(upheld: Upheld, load: Exact, times: int, outcome: Outcome) -> None:
    """So many clients at once, each with a request that is sent when TERM comes; most of them wait to be accepted."""
    connections, lock = [], threading.Lock()

    def ask(number: int) -> None:
        try:
            connection = Connection(upheld.address)
            with lock:
                connections.append(connection)
            connection.exchange(Ask(sleep_ms=20), number, close=number % 2 == 0)
            connection.close()
        except Failed as failed:
            with lock:
                outcome.fates[failed.fate] += 1

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(1, times + 1)]
    for thread in threads:
        thread.start()
    outcome.sent = times
    upheld.wait(lambda: len(connections) == times and all(one.sent for one in connections), "all have asked")
    upheld.signal(signal.SIGTERM)
    begun = time.monotonic()
    for thread in threads:
        thread.join(60)
    end = time.monotonic() + STEP_S
    while upheld.is_up() and time.monotonic() < end:
        time.sleep(0.02)
    lasted = time.monotonic() - begun
    outcome.notes.append(f"**goes on {lasted:.0f} s after TERM**" if upheld.is_up() else f"ended {lasted:.1f} s after TERM")


UPHEAVALS = (
    Upheaval(
        "hup",
        "HUP",
        "New code is written and HUP sent, so many times; each time it is waited for until all workers are new.",
        50,
        _hups,
        stormy=True,
    ),
    Upheaval(
        "ttin",
        "TTIN and TTOU",
        "One worker more, and when it is there, one fewer, so many times.",
        20,
        _ttin,
        stormy=True,
    ),
    Upheaval(
        "upgrade",
        "USR2",
        "A new arbiter is started by USR2, and when it serves, the old one is sent TERM, so many times.",
        5,
        _upgrades,
    ),
    Upheaval(
        "recycle",
        "max_requests = 50",
        "So many requests, while each worker is replaced after 50.",
        5000,
        _recycling,
        site={"max_requests": 50},
    ),
    Upheaval("broken-code", "HUP with broken code", "A syntax error is deployed, then a good version.", 1, _broken_code),
    Upheaval(
        "broken-settings",
        "HUP with broken settings",
        '`workers = "many"` is written, then what was there before.',
        1,
        _broken_settings,
    ),
    Upheaval(
        "kill",
        "kill -9",
        "A worker chosen at random is killed, and a second after its successor has answered the next, so many times. What "
        "was in it is lost; on connections to others nothing may be.",
        20,
        _kills,
    ),
    Upheaval(
        "drain",
        "TERM with waiting connections",
        "One worker, and so many clients at once whose requests take 20 ms. All have sent theirs when TERM comes, and "
        "most wait to be accepted.",
        200,
        _drain,
        final=True,
        site={"workers": 1},
    ),
)


def put_through(upheaval: Upheaval, upheld: Upheld, times: int, *, stormy: bool) -> Outcome:
    """One scenario with one server, which is running."""
    outcome = Outcome()
    if not serves(upheld, 30):
        outcome.reason = upheld.end() if not upheld.is_up() else "does not answer after its start"
        return outcome
    begun = time.monotonic()
    if upheaval.final:
        upheaval.run(upheld, None, times, outcome)
        outcome.seconds = time.monotonic() - begun
        return outcome
    clients = {"stayers": 1, "dozers": 1, "comers": 1} if stormy else {}
    with Exact(upheld.address, **clients) as load:
        storm = Storm.begin(upheld.site.port) if stormy else None
        try:
            upheaval.run(upheld, load, times, outcome)
        except Stopped as stopped:
            outcome.notes.append(f"**{stopped}**")
        finally:
            outcome.storm = storm and storm.end()
        outcome.serves, outcome.is_led = serves(upheld), upheld.is_led()
    outcome.seconds = time.monotonic() - begun
    outcome.sent, outcome.fates = load.sent, load.fates()
    return outcome


def site_of(upheaval: Upheaval, folder, tapster) -> Site:
    """What a server is started from for it."""
    return Site(folder, tapster, **upheaval.site)
