"""The servers that are compared: how each is started, with which settings, and what it lacks.

A new peer is one more entry here, and its pin in `requirements.txt`. Access logs are off where there are any, so that
the log holds what the server has to complain about.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import TAPSTER, Server, request

from .rule import NotAsked

HERE = Path(__file__).resolve().parent
APPS = HERE / "apps"


@dataclass(frozen=True)
class Place:
    """Where a server is started: what its command line may refer to."""

    bin: Path
    port: int


@dataclass(frozen=True)
class Peer:
    """One server."""

    name: str
    #: Builds the command line from a `Start` and a `Place`.
    argv: Callable
    #: Its pinned package; none for Tapster.
    package: str = ""
    #: How it is started, for the reader of the table.
    note: str = ""


def _tapster(start, place):
    size = ["--workers", str(start.workers), *(["--threads", str(start.threads)] if start.threads > 1 else [])]
    where = ["--python", str(place.bin / "python"), "--chdir", str(APPS)]
    return [str(TAPSTER), "--bind", f"127.0.0.1:{place.port}", *size, *where, start.application]


def _gunicorn(start, place):
    size = ["--workers", str(start.workers)]
    if start.threads > 1:
        size += ["--worker-class", "gthread", "--threads", str(start.threads)]
    bind = ["--bind", f"127.0.0.1:{place.port}", "--no-control-socket"]
    return [str(place.bin / "gunicorn"), *bind, *size, start.application]


def _granian(start, place):
    size = ["--workers", str(start.workers), "--blocking-threads", str(start.threads)]
    bind = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(place.port), "--no-access-log"]
    return [str(place.bin / "granian"), *bind, *size, start.application]


def _uwsgi(start, place):
    size = ["--master", "--processes", str(start.workers)]
    if start.threads > 1:
        size += ["--threads", str(start.threads)]
    if start.pair:
        size += ["--route-run", f"addvar:{'='.join(start.pair)}"]
    run = ["--need-app", "--die-on-term", "--disable-logging", "--module", start.application]
    return [str(place.bin / "uwsgi"), "--http-socket", f"127.0.0.1:{place.port}", *size, *run]


def _waitress(start, place):
    if start.workers > 1:
        raise NotAsked("it has one process")
    listen = [f"--listen=127.0.0.1:{place.port}", f"--threads={start.threads}"]
    return [str(place.bin / "waitress-serve"), *listen, start.application]


def _bjoern(start, place):
    if start.workers > 1:
        raise NotAsked("it has one process")
    if start.threads > 1:
        raise NotAsked("it has no threads")
    module, name = start.application.split(":")
    lines = ["import bjoern", f"from {module} import {name} as application"]
    return [str(place.bin / "python"), "-c", "\n".join([*lines, f"bjoern.run(application, '127.0.0.1', {place.port})"])]


PEERS = (
    Peer("tapster", _tapster, note="as it comes"),
    Peer("gunicorn", _gunicorn, "gunicorn", "sync worker; gthread where two threads are asked for"),
    Peer("granian", _granian, "granian", "`--interface wsgi`, one blocking thread"),
    Peer("uWSGI", _uwsgi, "uWSGI", "`--http-socket --master --need-app`; `--wsgi-strict` changes nothing here"),
    Peer("waitress", _waitress, "waitress", "`waitress-serve --threads=1`"),
    Peer("bjoern", _bjoern, "bjoern", "`bjoern.run()`"),
)


class Running(Server):
    """A peer that runs."""

    def __init__(self, peer, start, place_bin, cwd):
        # A locale, since not every server does without one.
        env = {"LANG": "C.UTF-8", "PYTHONPATH": str(APPS), **(dict([start.pair]) if start.pair else {})}
        super().__init__(start.application, cwd=cwd, env=env)
        self._argv = peer.argv(start, Place(place_bin, self.address[1]))

    def command(self):
        """The command line."""
        return self._argv

    def _is_ready(self):
        try:
            return request(self.address, "GET", "/ready", timeout=2).status == 200
        except OSError:
            return False


class Fleet:
    """One peer's servers, one for each way in which rules want it started."""

    def __init__(self, peer, place_bin, cwd):
        self._peer, self._bin, self._cwd = peer, place_bin, cwd
        self._running = {}

    def of(self, start):
        """The server that was started in this way, started if it does not run."""
        if start not in self._running:
            self._running[start] = Running(self._peer, start, self._bin, self._cwd).start()
        return self._running[start]

    def renew(self, start):
        """Ends a server that is of no use any more; the next rule starts another."""
        self._running.pop(start).close(quiet=True)

    def close(self):
        """Ends all."""
        while self._running:
            self.renew(next(iter(self._running)))
