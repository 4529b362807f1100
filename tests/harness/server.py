"""A server under test as a process: started in a session of its own, watched through its log and /proc, and at the
end gone with its whole tree, or the test fails."""

import itertools
import os
import re
import shlex
import signal
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .client import request
from .interpreters import default_interpreter
from .paths import APPS, TAPSTER, UNDER_TEST
from .ports import free_port
from .waiting import wait_until
from .wire import Wire

_WORKER_READY = re.compile(r"Worker ready \(slot: (\d+), pid: (\d+), generation: (\d+)")
_TEMPLATE_READY = re.compile(r"Template ready \(pid: (\d+), generation: (\d+), CPython ([\d.]+)")
_numbers = itertools.count(1)

#: Every server that is running now, for the log sections of a failing test's report.
RUNNING = []


@dataclass(frozen=True)
class Ready:
    """A worker as its log line introduced it."""

    slot: int
    pid: int
    generation: int


class Server:
    """One server, started by `with` or `start`, and checked at the end by `close`.

    `options` go to the command line as they are. `bind` is an address as the server takes it; without it a free port of
    127.0.0.1 is used, and with "" none is given. `cwd` is where it starts, and where `settings`, if given, become
    tapster.toml. `env` is added to an environment that is otherwise nearly empty: no LANG, no VIRTUAL_ENV. With
    `name_python=False` the server has to find its interpreter by itself.
    """

    def __init__(
        self, app, *options, cwd, interpreter=None, workers=1, bind=None, env=None, settings=None, name_python=True
    ):
        self.app = app
        self.options = options
        self.cwd = Path(cwd)
        self.interpreter = interpreter or default_interpreter()
        self.workers = workers
        self.name_python = name_python
        self.bind = f"127.0.0.1:{free_port()}" if bind is None else bind
        self.test_id = uuid.uuid4().hex
        self.environment = clean_environment(self.test_id, env)
        self.log_path = self.cwd / f"server-{next(_numbers)}.log"
        self.process = None
        #: The exit status that `close` insists on; None where the test itself makes the server die otherwise.
        self.expected_exit = 0
        if settings is not None:
            self.write_settings(settings)

    # Starting and ending.

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, kind, *_):
        self.close(quiet=kind is not None)

    def launch(self, **popen):
        """Starts the process and waits for nothing."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **popen,
            )
        RUNNING.append(self)
        return self

    def start(self, deadline=20.0, **popen):
        """Starts the process and waits until all its workers are ready."""
        self.launch(**popen)
        try:
            self.wait_ready(deadline)
        except BaseException:
            self.close(quiet=True)
            raise
        return self

    def wait_ready(self, deadline=20.0):
        """Waits for the fact that every worker is ready, or fails at once if the server exits."""
        wait_until(lambda: self._is_ready() or self.exited(), deadline, lambda: f"ready; its log:\n{self.tail()}")
        assert not self.exited(), f"server exited with {self.process.returncode}; its log:\n{self.tail()}"

    def command(self):
        """The command line."""
        bind = ["--bind", self.bind] if self.bind else []
        common = [*bind, *(["--workers", str(self.workers)] if self.workers else []), "--pythonpath", str(APPS)]
        if UNDER_TEST == "gunicorn":
            python = str(self.interpreter.python)
            # The worker of gunicorn's that knows keep-alive.
            kind = ["--no-control-socket", "--worker-class", "gthread"]
            return [python, "-m", "gunicorn", *kind, *common, *self.options, self.app]
        python = ["--python", str(self.interpreter.python)] if self.name_python else []
        return [str(TAPSTER), *python, *common, *self.options, *([self.app] if self.app else [])]

    def close(self, quiet=False):
        """Ends the server if it still runs, and asserts that nothing of it is left. `quiet` only cleans up."""
        if self in RUNNING:
            RUNNING.remove(self)
        if self.process is None:
            return
        complaints = []
        if not self.exited():
            self.send(signal.SIGTERM)
            if not self._wait_exit(12):
                complaints.append("did not exit within 12 s of SIGTERM")
                processes.kill([self.pid])
                self.process.wait(5)
        if self.expected_exit is not None and self.process.returncode != self.expected_exit:
            complaints.append(f"exit status {self.process.returncode}, not {self.expected_exit}")
        complaints += self._leftovers()
        if "panicked at" in self.log():
            complaints.append("a panic in the log")
        if complaints and not quiet:
            raise AssertionError(f"{'; '.join(complaints)}; its log:\n{self.tail()}")

    def _leftovers(self):
        try:
            wait_until(lambda: not self.tree(), 5)
        except AssertionError:
            left = self.tree()
            text = processes.describe(left)
            processes.kill(left)
            return [f"processes left behind:\n{text}"] if left else []
        return []

    def _wait_exit(self, deadline):
        try:
            self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _is_ready(self):
        if UNDER_TEST == "tapster":
            return len(self.ready()) >= (self.workers or 1)
        try:
            return request(self.address, "GET", "/hello").status
        except OSError:
            return False

    # Signals.

    @property
    def pid(self):
        """The arbiter: the process that was started."""
        return self.process.pid

    def send(self, number):
        """Sends a signal to the arbiter."""
        os.kill(self.pid, number)

    def exited(self):
        """Whether the arbiter has ended."""
        return self.process.poll() is not None

    def wait_exit(self, deadline=10.0):
        """Waits for the arbiter's end and returns its exit status."""
        assert self._wait_exit(deadline), f"still running after {deadline} s; its log:\n{self.tail()}"
        return self.process.returncode

    def stop(self, number=signal.SIGTERM, deadline=10.0):
        """Sends a signal and waits for the end."""
        self.send(number)
        return self.wait_exit(deadline)

    def reload(self, workers=None, deadline=15.0):
        """HUPs, and waits until a newer generation of so many workers is ready and all that is older is gone."""
        expected = workers or self.workers or 1
        newest = max(worker.generation for worker in self.ready())
        self.send(signal.SIGHUP)

        def renewed():
            live = self.live()
            return len(live) == expected and all(worker.generation > newest for worker in live)

        wait_until(renewed, deadline, lambda: f"only newer than {newest} live: {self.live()}; log:\n{self.tail()}")

    # What it says, and what it is made of.

    def log(self):
        """Everything it has written so far."""
        return self.log_path.read_text(errors="replace")

    def tail(self, size=6000):
        """The command and the end of the log."""
        return f"$ {shlex.join(map(str, self.command()))}\n{self.log()[-size:]}"

    def wait_log(self, pattern, deadline=10.0, count=1):
        """Waits until the log holds a regular expression (`count` times), and returns the last match."""
        compiled = re.compile(pattern, re.IGNORECASE)
        found = []

        def says():
            found[:] = compiled.finditer(self.log())
            return len(found) >= count

        wait_until(says, deadline, lambda: f"{pattern!r} in the log:\n{self.tail()}")
        return found[-1]

    def ready(self):
        """Every worker that was ever ready, in order."""
        return [Ready(*map(int, found.groups())) for found in _WORKER_READY.finditer(self.log())]

    def live(self):
        """The workers that were ready and are still alive."""
        return [worker for worker in self.ready() if processes.alive(worker.pid)]

    def worker_pids(self):
        """The pids of the live workers."""
        return {worker.pid for worker in self.live()}

    def template_pid(self):
        """The newest template's pid."""
        return int(_TEMPLATE_READY.findall(self.log())[-1][0])

    def tree(self):
        """The pids of all its processes, zombies included, but not an arbiter that was already reaped."""
        return processes.marked(self.test_id, self.pid)

    # Talking to it.

    @property
    def address(self):
        """What to connect to: (host, port), or a path."""
        if self.bind.startswith("unix:"):
            path = self.bind.removeprefix("unix:")
            return path if path.startswith("/") else str(self.cwd / path)
        host, _, port = self.bind.rpartition(":")
        return (host, int(port))

    def wire(self, timeout=10.0):
        """A raw connection."""
        return Wire(self.address, timeout)

    def request(self, method, path, body=None, headers=None, timeout=10.0):
        """One request on a connection of its own."""
        return request(self.address, method, path, body, headers, timeout)

    def get(self, path="/", timeout=10.0):
        """GETs a path on a connection of its own."""
        return self.request("GET", path, timeout=timeout)

    def write_settings(self, text):
        """Writes tapster.toml where the server looks for it."""
        (self.cwd / "tapster.toml").write_text(text)


def clean_environment(test_id, extra=None):
    """An environment of which the tests know everything."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONDONTWRITEBYTECODE": "1",
        processes.MARKER: test_id,
        **(extra or {}),
    }


def run_tapster(*arguments, cwd, env=None, timeout=20.0):
    """Runs tapster to its end, and asserts that it leaves no process behind. For commands that are to end by themselves."""
    test_id = uuid.uuid4().hex
    try:
        return subprocess.run(
            [str(TAPSTER), *map(str, arguments)],
            cwd=cwd,
            env=clean_environment(test_id, env),
            capture_output=True,
            text=True,
            timeout=timeout,
            start_new_session=True,
        )
    finally:
        left = processes.marked(test_id)
        processes.kill(left)
        assert not left, f"processes left behind: {left}"
