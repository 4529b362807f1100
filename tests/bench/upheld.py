"""A server that is put through what the scenarios of `upheavals.py` do to it, and what can be seen of it meanwhile.

Everything is seen from outside: its answers, its log, its pid file, and its processes, which carry a mark in their
environment. Every wait is for a fact, and has a deadline.
"""

import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import prepare
from processes import last_line
from trial import free_port

_MARK = "BENCH_MARK"
_NUMBERED = prepare.HERE.parent / "apps" / "numbered.py"
_BOOT_S = 30.0
_STOP_S = 45.0
#: How long the slowest step of a scenario may take: gunicorn gives its workers 30 s to end.
STEP_S = 60.0


class Stopped(Exception):
    """The scenario can't go on; says why, for the table."""


@dataclass
class Site:
    """What a server is started from: a folder with the application and the settings."""

    folder: Path
    tapster: Path
    port: int = field(default_factory=free_port)
    workers: int = 2
    threads: int = 4
    #: 0 is none.
    max_requests: int = 0

    @property
    def settings(self) -> Path:
        return self.folder / "settings"

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"

    @property
    def bin(self) -> Path:
        return prepare.VENV / "bin"


@dataclass(frozen=True)
class Kind:
    """A server as it is started here."""

    name: str
    argv: Callable[[Site], list[str]]
    #: What its settings file says of the number of workers; empty where there is no such file.
    settings: str = ""
    packages: tuple[str, ...] = ()
    #: Scenarios that it has nothing for, and why.
    lacks: dict[str, str] = field(default_factory=dict)
    #: What its log says when a successor that USR2 has started serves; empty where nothing does.
    beside: str = ""
    #: Says, in its log, that a worker is there.
    ready: re.Pattern | None = None


def _tapster(site: Site, *more: str) -> list[str]:
    where = ["--config", str(site.settings), "--pid", str(site.pid_file), "--python", str(site.bin / "python")]
    recycle = ["--max-requests", str(site.max_requests)] if site.max_requests else []
    size = ["--threads", str(site.threads), *recycle, *more]
    return [str(site.tapster), "-b", f"127.0.0.1:{site.port}", *where, *size, "deployed:application"]


def _gunicorn(site: Site, *more: str) -> list[str]:
    where = ["--config", f"file:{site.settings}", "--pid", str(site.pid_file), "--no-control-socket"]
    recycle = ["--max-requests", str(site.max_requests)] if site.max_requests else []
    return [str(site.bin / "gunicorn"), "-b", f"127.0.0.1:{site.port}", *where, *recycle, *more, "deployed:application"]


def _gthread(site: Site) -> list[str]:
    return _gunicorn(site, "-k", "gthread", "--threads", str(site.threads))


def _granian(site: Site) -> list[str]:
    where = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(site.port)]
    size = ["--workers", str(site.workers), "--blocking-threads", str(site.threads), "--respawn-failed-workers"]
    return [str(site.bin / "granian"), *where, *size, "deployed:application"]


_TAPSTER_READY = re.compile(r"Worker ready \(slot: \d+, pid: (\d+)")
_GUNICORN_BOOTS = re.compile(r"Booting worker with pid: (\d+)")
_PACKAGES = ("gunicorn", "gunicorn_h1c")
_NOT_IN_GRANIAN = {
    "ttin": "has no such signals",
    "upgrade": "has no such signal",
    "recycle": "has no such setting",
    "broken-settings": "has no settings file",
}
_OURS = {"settings": "workers = {}\n", "beside": "The new server serves beside this one", "ready": _TAPSTER_READY}
TAPSTER = Kind("tapster", _tapster, **_OURS)
PRELOADED = Kind("tapster --preload", lambda site: _tapster(site, "--preload"), **_OURS)
GUNICORN_PRELOADED = Kind(
    "gunicorn gthread --preload", lambda site: [*_gthread(site), "--preload"], "workers = {}\n", _PACKAGES,
    ready=_GUNICORN_BOOTS,
)
KINDS = (
    TAPSTER,
    PRELOADED,
    Kind("gunicorn gthread", _gthread, "workers = {}\n", _PACKAGES, ready=_GUNICORN_BOOTS),
    Kind("gunicorn sync", lambda site: _gunicorn(site, "-k", "sync"), "workers = {}\n", _PACKAGES),
    Kind("granian", _granian, packages=("granian",), lacks=_NOT_IN_GRANIAN),
)


class Upheld:
    """One server, running in a folder of its own. Use as a context manager."""

    def __init__(self, kind: Kind, site: Site) -> None:
        self.kind = kind
        self.site = site
        self.address = ("127.0.0.1", site.port)
        self.log_path = site.folder / "log"
        self._mark = uuid.uuid4().hex
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "Upheld":
        shutil.copy(_NUMBERED, self.site.folder)
        self.deploy("1")
        self.set_workers(self.site.workers)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("TAPSTER_", "GUNICORN_"))}
        # Bytecode is known by its source's second and size, which two deploys have in common.
        environment = {**kept, "PYTHONDONTWRITEBYTECODE": "1", _MARK: self._mark}
        for name in ("PORT", "WEB_CONCURRENCY"):
            environment.pop(name, None)
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self.kind.argv(self.site),
                cwd=self.site.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_) -> None:
        """Ends it, and all that is left of it."""
        with suppress(Stopped):
            self.signal(signal.SIGTERM)
        end = time.monotonic() + _STOP_S
        while self.processes() and time.monotonic() < end:
            self._process.poll()
            time.sleep(0.02)
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(10)

    # What is done to it.

    def deploy(self, version: str | None) -> None:
        """Writes the application; a broken one where there is no version."""
        text = f'from numbered import signed\napplication = signed("{version}")\n' if version else "def broken(:\n"
        (self.site.folder / "deployed.py").write_text(text)

    def set_workers(self, number: int | str) -> None:
        """Writes the settings."""
        if self.kind.settings:
            self.site.settings.write_text(self.kind.settings.format(number))

    def signal(self, number: int) -> None:
        """Sends a signal to the process that stands at the top; raises Stopped where there is none any more."""
        try:
            os.kill(self.root(), number)
        except ProcessLookupError as error:
            raise Stopped(self.end()) from error

    # What is seen of it.

    def root(self) -> int:
        """The process at the top: after an upgrade it is another one than was started."""
        if pid := self.pid_in_file():
            return pid
        if self._process.poll() is not None:
            raise Stopped(self.end())
        return self._process.pid

    def pid_in_file(self) -> int:
        """What the pid file says; 0 where there is none, or nothing in it."""
        with suppress(OSError, ValueError):
            return int(self.site.pid_file.read_text())
        return 0

    def is_led(self) -> bool:
        """Whether the process at the top is there, and not only workers that it has left."""
        return is_alive(self.pid_in_file()) or self._process.poll() is None

    def processes(self) -> set[int]:
        """All of its processes that live."""
        return {int(entry) for entry in os.listdir("/proc") if entry.isdigit() and self._is_ours(int(entry))}

    def is_up(self) -> bool:
        """Whether a process of it is there."""
        return self._process.poll() is None or bool(self.processes())

    def end(self) -> str:
        """How it ended, for the table."""
        self._process.poll()
        left = len(self.processes())
        orphans = f", and {left} processes of it go on without it" if left else ""
        return f"ended with status {self._process.returncode}{orphans} (its log ends: {last_line(self.log_path)})"

    def log(self) -> str:
        """All that it has written."""
        return self.log_path.read_text(errors="replace")

    def wait(self, fact: Callable[[], object], what: str, deadline_s: float = STEP_S) -> object:
        """Waits for a fact; raises Stopped where the server ends before, or the deadline passes."""
        end = time.monotonic() + deadline_s
        while not (value := fact()):
            if not self.is_up():
                raise Stopped(self.end())
            if time.monotonic() > end:
                raise Stopped(f"not within {deadline_s:.0f} s: {what}")
            time.sleep(0.01)
        return value

    def _is_ours(self, pid: int) -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return state not in "ZX" and f"{_MARK}={self._mark}".encode() in environment.split(b"\0")


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
