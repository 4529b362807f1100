"""Eight workers of a Django application, and what they and all processes around them take of memory. Used by `memory`."""

import http.client
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import prepare
from probe import wait_until_up
from processes import ServerFailed, last_line, memory_kib, own_memory_kib, running, tree, wait_until_quiet
from trial import free_port

WORKERS = 8
#: Connections at a time: enough for each worker to have some.
_CLIENTS = 16
_PATIENCE_S = 60
_QUIET_S = 20.0
_PROJECT = prepare.HERE.parent / "apps" / "django_project"


@dataclass(frozen=True)
class App:
    name: str
    #: What it is, for the page.
    text: str
    folder: Path
    #: `module:callable`.
    app: str
    #: Asked for by turns.
    paths: tuple[str, ...]
    #: Whether it has a database that must be made first.
    stores: bool = False


APPS = (
    App(
        "hello",
        "One view, with the apps and the middleware that `startproject` puts in (`apps/django_hello.py`).",
        prepare.APPS,
        "django_hello:app",
        ("/",),
    ),
    App(
        "project",
        "A small project with the admin, a database, templates and sessions (`tests/apps/django_project`): four pages of it.",
        _PROJECT,
        "project.wsgi:application",
        ("/", "/admin/login/", "/stream/", "/upload/"),
        stores=True,
    ),
)


@dataclass(frozen=True)
class Place:
    port: int
    app: App
    tapster: Path

    @property
    def bin(self) -> Path:
        return prepare.VENV / "bin"

    @property
    def bind(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Herd:
    """A server with eight workers."""

    name: str
    argv: Callable[[Place], list[str]]
    packages: tuple[str, ...] = ()


@dataclass
class Found:
    total_kib: int = 0
    #: Of each process.
    each_kib: list[int] = field(default_factory=list)
    reason: str = ""


def _tapster(place: Place, *more: str) -> list[str]:
    where = ["--python", str(place.bin / "python"), "--chdir", str(place.app.folder)]
    return [str(place.tapster), "-b", place.bind, "-w", str(WORKERS), *where, *more, place.app.app]


def _warm(place: Place) -> list[str]:
    return _tapster(place, "--preload", "--warmup", ",".join(place.app.paths))


def _gunicorn(place: Place, *more: str) -> list[str]:
    run = ["-b", place.bind, "-w", str(WORKERS), "--no-control-socket", "--chdir", str(place.app.folder)]
    return [str(place.bin / "gunicorn"), *run, *more, place.app.app]


_GTHREAD = ("-k", "gthread", "--threads", "4")


def _uwsgi(place: Place, *more: str) -> list[str]:
    run = ["--master", "--processes", str(WORKERS), "--need-app", "--disable-logging", "--die-on-term"]
    return [str(place.bin / "uwsgi"), "--http-socket", place.bind, *run, *more, "--module", place.app.app]


def _granian(place: Place) -> list[str]:
    run = ["--host", "127.0.0.1", "--port", str(place.port), "--workers", str(WORKERS), "--blocking-threads", "1"]
    return [str(place.bin / "granian"), "--interface", "wsgi", "--no-access-log", *run, place.app.app]


TAPSTER, PRELOADED, WARM = "tapster", "tapster --preload", "tapster --preload --warmup"
SYNC, SYNC_PRELOADED = "gunicorn sync", "gunicorn sync --preload"
GTHREAD, GTHREAD_PRELOADED = "gunicorn gthread", "gunicorn gthread --preload"
_PACKAGES = ("gunicorn", "gunicorn_h1c")
HERDS = (
    Herd(TAPSTER, _tapster),
    Herd(PRELOADED, lambda place: _tapster(place, "--preload")),
    Herd(WARM, _warm),
    Herd(SYNC, _gunicorn, _PACKAGES),
    Herd(SYNC_PRELOADED, lambda place: _gunicorn(place, "--preload"), _PACKAGES),
    Herd(GTHREAD, lambda place: _gunicorn(place, *_GTHREAD), _PACKAGES),
    Herd(GTHREAD_PRELOADED, lambda place: _gunicorn(place, *_GTHREAD, "--preload"), _PACKAGES),
    Herd("uWSGI", _uwsgi, ("uWSGI",)),
    Herd("uWSGI --lazy-apps", lambda place: _uwsgi(place, "--lazy-apps"), ("uWSGI",)),
    Herd("granian", _granian, ("granian",)),
)


def measure(herd: Herd, app: App, prepared: prepare.Prepared, requests: int) -> Found:
    """One start: so many requests a worker, and then the memory of all processes."""
    missing = [f"{name}: {prepared.missing[name]}" for name in (*herd.packages, "Django") if name in prepared.missing]
    if missing:
        return Found(reason="; ".join(missing))
    place = Place(free_port(), app, prepared.tapster)
    if herd.name == WARM and "--warmup" not in _help(prepared.tapster):
        return Found(reason="this build has no such setting")
    log = prepare.FLOOR.parent / f"memory-{app.name}-{herd.name.replace(' ', '')}.log"
    with tempfile.TemporaryDirectory(prefix="tapster-memory-") as data:
        more = {"PYTHONDONTWRITEBYTECODE": "1"}
        if app.stores:
            more |= {"DJANGO_DATA": data, "DJANGO_SETTINGS_MODULE": "project.settings"}
            _make_database(more)
        # On all of the CPUs that there are: it is no matter of time.
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        try:
            with running(herd.argv(place), app.folder, cpus, log, more) as server:
                wait_until_up(server, place.port)
                _ask_all(place, requests * WORKERS)
                wait_until_quiet(server.pid, _QUIET_S)
                return Found(memory_kib(server.pid), [own_memory_kib(pid) for pid in tree(server.pid)])
        except ServerFailed as failure:
            return Found(reason=f"{failure} (its log ends: {last_line(log)})")


def _help(program: Path) -> str:
    return subprocess.run([program, "--help"], text=True, stdout=subprocess.PIPE, timeout=20).stdout


def _make_database(more: dict[str, str]) -> None:
    command = [str(prepare.VENV / "bin/python"), "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=_PROJECT, env={**os.environ, **more}, check=True, timeout=120)


def _ask_all(place: Place, count: int) -> None:
    """So many requests, each on a connection of its own."""
    turns, failures, lock = iter(range(count)), [], threading.Lock()

    def ask() -> None:
        while not failures:
            with lock:
                turn = next(turns, None)
            if turn is None:
                return
            connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=_PATIENCE_S)
            path = place.app.paths[turn % len(place.app.paths)]
            try:
                connection.request("GET", path, headers={"Connection": "close"})
                reply = connection.getresponse()
                reply.read()
                if reply.status != 200:
                    failures.append(f"{path} was answered by {reply.status}")
            except OSError as error:
                failures.append(f"{path}: {error!r}")
            finally:
                with suppress(OSError):
                    connection.close()

    threads = [threading.Thread(target=ask) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise ServerFailed(failures[0])
