"""A proxy as a process: started from a configuration of its own, read by its access log, and gone at the end."""

import os
import re
import secrets
import signal
import socket
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from harness import Wire, processes, request, wait_until
from harness.ports import free_port
from harness.server import clean_environment

from .programs import program

#: The request header in which a front names a request.
ID_FIELD = "X-Front-Id"

#: Every front that is running now, for the log sections of a failing test's report.
RUNNING = []


@dataclass(frozen=True)
class Logged:
    """A request as the front saw it: a line of its access log."""

    id: str
    status: int
    method: str
    target: str


class Front:
    """A proxy between clients and a backend. Use as a context manager.

    `backend` is (host, port), or the path of a socket. A subclass says which program it is (`PROGRAM`), the command
    line, and the configuration, to which `variant` adds or from which it takes.
    """

    PROGRAM = ""
    #: How the access log writes a byte that it does not write as it is: by two hexadecimal digits, or by itself.
    ESCAPED = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))")

    def __init__(self, backend, folder, **variant):
        self.backend = backend
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.variant = variant
        self.port = free_port()
        #: What every id begins with. No client knows it.
        self.secret = f"front-{secrets.token_hex(8)}-"
        self.access_log = self.folder / "access.log"
        self.output = self.folder / "output.log"
        self._test_id = uuid.uuid4().hex
        self._process = None
        self._position = 0
        self._requests = {}

    # What a subclass tells.

    def configuration(self):
        """The text of the configuration file."""
        raise NotImplementedError

    def arguments(self, path):
        """What follows the program's name on the command line."""
        raise NotImplementedError

    def parse(self, line):
        """A line of the access log as `Logged`; None for one that is about no request of a known id."""
        ident, status, method, target = (self.ESCAPED.sub(_unescaped, part) for part in line.split("\t"))
        return Logged(ident, int(status), method, target) if ident.startswith(self.secret) else None

    # Starting and ending.

    def __enter__(self):
        path = self.folder / "front.conf"
        path.write_text(self.configuration())
        command = [program(self.PROGRAM), *map(str, self.arguments(path))]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*_bound_to_the_tests(), *command],
                cwd=self.folder,
                env=clean_environment(self._test_id),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        RUNNING.append(self)
        try:
            wait_until(lambda: self._listens() or self._process.poll() is not None, 10, self.tail)
            assert self._process.poll() is None, f"{self.PROGRAM} ended with {self._process.returncode}; {self.tail()}"
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends it with all its processes."""
        if self in RUNNING:
            RUNNING.remove(self)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
            wait_until(lambda: not self._tree(), 5)
        except (subprocess.TimeoutExpired, AssertionError):
            left = self._tree()
            text = processes.describe(left)
            processes.kill(left)
            self._process.wait(5)
            raise AssertionError(f"{self.PROGRAM} did not end within 5 s of SIGTERM:\n{text}") from None

    def _tree(self):
        return processes.marked(self._test_id, self._process.pid)

    def _listens(self):
        try:
            socket.create_connection(self.address, 1).close()
        except OSError:
            return False
        return True

    # Talking to it, and what it says.

    @property
    def address(self):
        """Where clients connect."""
        return ("127.0.0.1", self.port)

    def wire(self, timeout=10.0):
        """A raw connection to it."""
        return Wire(self.address, timeout)

    def get(self, path, headers=None):
        """GETs a path on a connection of its own."""
        return self.request("GET", path, headers=headers)

    def request(self, method, path, body=None, headers=None):
        """One request on a connection of its own."""
        return request(self.address, method, path, body, headers)

    def requests(self):
        """Every request that it has logged so far, by its id."""
        if not self.access_log.exists():
            return {}
        with self.access_log.open("rb") as log:
            log.seek(self._position)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.decode("latin-1").splitlines():
            logged = self.parse(line)
            if logged:
                assert logged.id not in self._requests, f"the front itself gave an id twice: {line}"
                self._requests[logged.id] = logged
        return self._requests

    def tail(self, size=3000):
        """The end of what it has written, for a failure's message."""
        texts = [f"{self.PROGRAM} in {self.folder}"]
        for path in sorted(self.folder.glob("*.log")):
            texts.append(f"--- {path.name}\n{path.read_text(errors='replace')[-size:]}")
        return "\n".join(texts)


def _unescaped(found):
    digits = found[1]
    return chr(int(digits, 16)) if digits else found[2]


def _bound_to_the_tests():
    """In front of a command: it ends, as by TERM, when the test process that started it is killed."""
    found = program("setpriv")
    return [found, "--pdeathsig=TERM", "--"] if found else []


def is_root():
    """Whether the proxies are started by root, and would give up that by themselves."""
    return os.geteuid() == 0
