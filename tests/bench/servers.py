"""The table of servers: how each is started with one worker, and what it needs.

A new peer is one more entry here (and its pin in `requirements.txt`). Access logs are off everywhere.
"""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: For a server to print its options.
_HELP_DEADLINE_S = 20


@dataclass(frozen=True)
class Place:
    """Where one start of a server happens: what a command line may refer to."""

    #: `bin` folder of the benchmark's venv.
    bin: Path
    #: Folder of the apps, the working directory of every server.
    apps: Path
    #: `module:callable`.
    app: str
    port: int
    threads: int
    tapster: Path
    floor: Path
    #: 0 leaves a server its own default.
    keep_alive_s: int = 0
    worker_connections: int = 0

    @property
    def bind(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Server:
    name: str
    #: Builds the command line.
    argv: Callable[[Place], list[str]]
    #: The pinned packages, by their names in `requirements.txt`, without which this server is not measured.
    packages: tuple[str, ...] = ()
    #: What a reader of the table should know beyond what is measured.
    note: str = ""


def _python(place: Place, *lines: str) -> list[str]:
    """A server without a usable command line of its own, started by a few lines of Python."""
    module, attribute = place.app.split(":")
    start = [f"import sys; sys.path.insert(0, {str(place.apps)!r})", f"from {module} import {attribute} as app"]
    return [str(place.bin / "python"), "-c", "\n".join([*start, *lines])]


def _tapster(place: Place) -> list[str]:
    # A setting that is at its default is not named, so that the bench runs on every version of the program.
    threads = ["--threads", str(place.threads)] if place.threads > 1 else []
    python = str(place.bin / "python")
    where = ["--chdir", str(place.apps), "--python", python]
    size = ["-w", "1", *threads, *_patience(place, place.tapster)]
    return [str(place.tapster), "-b", place.bind, *size, *where, place.app]


def _patience(place: Place, program: Path) -> list[str]:
    """The options of tapster and gunicorn for many connections that stay, where they are set and known."""
    options = {"--keep-alive": place.keep_alive_s, "--worker-connections": place.worker_connections}
    named = {option: value for option, value in options.items() if value}
    known = _help(program) if named else ""
    return [part for option, value in named.items() if option in known for part in (option, str(value))]


@cache
def _help(program: Path) -> str:
    return subprocess.run([program, "--help"], text=True, stdout=subprocess.PIPE, timeout=_HELP_DEADLINE_S).stdout


def _gunicorn(place: Place, *more: str) -> list[str]:
    return [str(place.bin / "gunicorn"), "-b", place.bind, "-w", "1", "--no-control-socket", *more, place.app]


def _gunicorn_gthread(place: Place) -> list[str]:
    size = ["--threads", str(place.threads), *_patience(place, place.bin / "gunicorn")]
    return _gunicorn(place, "-k", "gthread", *size)


def _granian(place: Place) -> list[str]:
    listen = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(place.port), "--no-access-log"]
    size = ["--workers", "1", "--runtime-threads", "1", "--blocking-threads", str(place.threads)]
    return [str(place.bin / "granian"), *listen, *size, place.app]


def _bjoern(place: Place) -> list[str]:
    return _python(place, "import bjoern", f"bjoern.run(app, '127.0.0.1', {place.port})")


def _fastwsgi(place: Place) -> list[str]:
    run = f"fastwsgi.run(wsgi_app=app, host='127.0.0.1', port={place.port}, loglevel=0)"
    return _python(place, "import fastwsgi", run)


def _uwsgi(place: Place, *listen: str) -> list[str]:
    threads = ["--threads", str(place.threads)] if place.threads > 1 else []
    run = ["--master", "--processes", "1", *threads, "--need-app", "--disable-logging", "--die-on-term"]
    return [str(place.bin / "uwsgi"), *listen, *run, "--module", place.app]


def _uwsgi_http(place: Place) -> list[str]:
    # Has no keep-alive, and is nevertheless the cheapest way in for a client that sends one request after the other.
    return _uwsgi(place, "--http-socket", place.bind)


def _uwsgi_http11(place: Place) -> list[str]:
    # The same socket with keep-alive: the worker stays with a connection until it closes.
    return _uwsgi(place, "--http11-socket", place.bind)


def _uwsgi_router(place: Place) -> list[str]:
    return _uwsgi(place, "--http", place.bind, "--http-keepalive", "--http-auto-chunked")


FLOOR = "kernel floor"
TAPSTER = "tapster"
BJOERN = "bjoern"
FASTWSGI = "fastwsgi"
GRANIAN = "granian"
UWSGI = "uWSGI http-socket"
UWSGI_11 = "uWSGI http11-socket"
ROUTER = "uWSGI http router"
GTHREAD = "gunicorn gthread"
SYNC = "gunicorn sync"

SERVERS = (
    Server(FLOOR, lambda place: [str(place.floor), str(place.port)], note="C: epoll_wait, recv, send; no parsing"),
    Server(TAPSTER, _tapster),
    Server(BJOERN, _bjoern, ("bjoern",)),
    Server(FASTWSGI, _fastwsgi, ("fastwsgi",)),
    Server(GRANIAN, _granian, ("granian",), "WSGI interface"),
    Server(UWSGI, _uwsgi_http, ("uWSGI",)),
    Server(UWSGI_11, _uwsgi_http11, ("uWSGI",)),
    Server(ROUTER, _uwsgi_router, ("uWSGI",), "router process and worker together"),
    Server(GTHREAD, _gunicorn_gthread, ("gunicorn", "gunicorn_h1c")),
    Server(SYNC, _gunicorn, ("gunicorn", "gunicorn_h1c")),
)


def named(name: str) -> Server:
    """The server of that name in the table."""
    return next(server for server in SERVERS if server.name == name)
