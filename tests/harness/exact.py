"""An exact client: several at once, each request with a number of its own, and what became of every single one.

Stands alone (nothing but the standard library), so that the benchmark, which knows no pytest, has it too. The application
is `apps/numbered.py`. Retries nothing, hides nothing: where a client of the usual kind would quietly ask again, this one
counts.
"""

import random
import re
import select
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from itertools import count

RIGHT = "right"
#: No connection came about.
REFUSED = "refused"
#: A new connection was reset before the first byte of the reply, or a kept one that had taken all of the request in.
RESET = "reset"
#: A connection that had taken the request in ended before the first byte of the reply.
UNANSWERED = "unanswered"
#: The race of keep-alive: a kept connection, whose end no reply had announced, was closed while the request was on its way,
#: and the server never had it. A client may send it again, if it is one that may be sent twice.
KEPT = "kept"
#: The reply ended too early.
TRUNCATED = "truncated"
#: Another status than 200, or another request's body, or another length.
WRONG = "wrong"
TIMEOUT = "timeout"
#: Every way to fail, in the order of the tables.
FAILURES = (REFUSED, RESET, UNANSWERED, KEPT, TRUNCATED, WRONG, TIMEOUT)

#: Longer than any machine is busy for: what is late is no loss.
PATIENCE_S = 60.0
#: After a refused connection, so that a dead server is not asked millions of times.
_AFTER_REFUSAL_S = 0.05
#: `struct tcp_info`: `tcpi_bytes_acked` stands here. It counts the SYN too.
_ACKED = slice(120, 128)
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n", re.IGNORECASE)


class Failed(Exception):
    """What became of a request."""

    def __init__(self, fate, why):
        super().__init__(why)
        self.fate = fate


@dataclass(frozen=True)
class Failure:
    """A request that was not answered right."""

    fate: str
    #: The system's error, or what was wrong.
    why: str
    serial: int
    #: The process that gave the last answer on its connection, if there was one.
    last_pid: int | None
    #: By `time.monotonic`.
    at: float


@dataclass(frozen=True)
class Ask:
    """One kind of request."""

    #: For how long the application sleeps.
    sleep_ms: int = 0
    #: Length of the reply's body.
    size: int = 100
    #: Length of the request's body, which is sent in two pieces.
    upload: int = 0

    def message(self, serial, close):
        """Its bytes."""
        fields = ["Host: exact.example"]
        if self.upload:
            fields.append(f"Content-Length: {self.upload}")
        if close:
            fields.append("Connection: close")
        method = "POST" if self.upload else "GET"
        head = "\r\n".join([f"{method} /{serial}?{self.sleep_ms},{self.size} HTTP/1.1", *fields, "\r\n"])
        return head.encode() + b"x" * self.upload


#: What clients ask for, at random: mostly short calls, and some that last, are large, or have a body.
ASKS = (Ask(), Ask(), Ask(), Ask(sleep_ms=20), Ask(size=200_000), Ask(upload=20_000), Ask(upload=200, sleep_ms=5))


@dataclass(frozen=True)
class Answer:
    """A right answer, as the application signs it."""

    version: str
    pid: int


class Connection:
    """One connection, and what it has to be known of it to tell one end from another."""

    def __init__(self, address, patience_s=PATIENCE_S):
        self.last_pid = None
        self.sent = 0
        self.closes = False
        try:
            self.socket = socket.create_connection(address, timeout=patience_s)
        except TimeoutError as error:
            raise Failed(TIMEOUT, f"connect: {error!r}") from error
        except OSError as error:
            raise Failed(REFUSED, f"connect: {error!r}") from error
        # A request in two pieces is to leave at once.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        """Closes it."""
        self.socket.close()

    def has_ended(self):
        """Whether the server has closed it while nothing was asked: nothing is lost by that."""
        if not select.select([self.socket], [], [], 0)[0]:
            return False
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def exchange(self, ask, serial, close=False):
        """The answer to one request; raises what else became of it."""
        broken = self._send(ask, serial, close)
        try:
            head, body = self._head(broken)
            answer = self._answer(ask, serial, head, body)
        except TimeoutError as error:
            raise Failed(TIMEOUT, f"no reply: {error!r}") from error
        self.closes = close or _CLOSES.search(head) is not None
        self.last_pid = answer.pid
        return answer

    def _send(self, ask, serial, close):
        """Sends a request; what breaks on the way is told, since a reply may be there all the same."""
        message = ask.message(serial, close)
        middle = len(message) - ask.upload // 2
        try:
            for piece in (message[:middle], message[middle:]) if ask.upload else (message,):
                self.socket.sendall(piece)
                self.sent += len(piece)
                if ask.upload and piece is not message:
                    time.sleep(0.001)
        except TimeoutError as error:
            raise Failed(TIMEOUT, f"send: {error!r}") from error
        except OSError as error:
            self.sent += len(message)
            return error
        return None

    def _head(self, broken):
        seen = b""
        while b"\r\n\r\n" not in seen:
            try:
                piece = self.socket.recv(1 << 18)
            except TimeoutError:
                raise
            except OSError as error:
                raise self._ended(seen, error) from error
            if not piece:
                raise self._ended(seen, broken)
            seen += piece
        head, _, body = seen.partition(b"\r\n\r\n")
        return head + b"\r\n", body

    def _ended(self, seen, error):
        """What it means that the connection has ended before there was a head."""
        why = repr(error) if error else "closed"
        if seen:
            return Failed(TRUNCATED, f"{why} within the head")
        if self.last_pid is not None and not self._was_taken():
            return Failed(KEPT, why)
        return Failed(RESET if isinstance(error, ConnectionResetError) else UNANSWERED, why)

    def _was_taken(self):
        """Whether the other side had an open socket when all of the requests came: its kernel has acknowledged them."""
        told = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.stop)
        return struct.unpack("=Q", told[_ACKED])[0] > self.sent

    def _answer(self, ask, serial, head, body):
        status = _HEAD.match(head)
        if status is None or status[1] != b"200":
            raise Failed(WRONG, f"{head.splitlines()[0]!r}")
        length = _LENGTH.search(head)
        if length is None or int(length[1]) != ask.size:
            raise Failed(WRONG, f"a body of {length and length[1]!r} bytes instead of {ask.size}")
        while len(body) < ask.size:
            try:
                piece = self.socket.recv(1 << 18)
            except TimeoutError:
                raise
            except OSError as error:
                raise Failed(TRUNCATED, f"{error!r} after {len(body)} of {ask.size} bytes") from error
            if not piece:
                raise Failed(TRUNCATED, f"closed after {len(body)} of {ask.size} bytes")
            body += piece
        # "serial uploaded version pid", a line, and filling.
        line, _, rest = body.partition(b"\n")
        told = line.decode("latin-1").split(" ")
        if len(told) != 4 or told[:2] != [str(serial), str(ask.upload)] or rest.strip(b"."):
            raise Failed(WRONG, f"answered {line[:80]!r} to {serial} with {ask.upload} bytes")
        return Answer(told[2], int(told[3]))


class Exact:
    """Clients that go on until they are stopped. Use as a context manager.

    `stayers` keep their connections for many requests, `dozers` too, with pauses of up to a second in which a server may
    take them for idle; `comers` have a connection for each request. `failures` has each request that was not answered right.
    """

    def __init__(self, address, stayers=4, dozers=4, comers=4, patience_s=PATIENCE_S, seed=0):
        self.address = address
        self.patience_s = patience_s
        self.sent = 0
        self.answers = Counter()
        self.failures = []
        #: Kept connections that were closed while nothing was on its way.
        self.ended_idle = 0
        self._serials = count(1)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        kinds = [*[self._stay] * stayers, *[self._doze] * dozers, *[self._come] * comers]
        self._threads = [
            threading.Thread(target=self._run, args=(kind, random.Random(f"{seed}.{number}")), daemon=True)
            for number, kind in enumerate(kinds)
        ]
        #: What a client itself failed at, which would make its figures worthless.
        self._broken = []

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    # What became of the requests.

    @property
    def answered(self):
        """How many requests have been answered right so far."""
        with self._lock:
            return self.answers.total()

    def pids(self):
        """Every process that has answered so far."""
        with self._lock:
            return {answer.pid for answer in self.answers}

    def versions(self):
        """Every version of the application that has answered so far."""
        with self._lock:
            return {answer.version for answer in self.answers}

    def fates(self):
        """How many requests failed, by the way in which."""
        with self._lock:
            return Counter(failure.fate for failure in self.failures)

    def described(self):
        """What failed, for a message."""
        return f"{self.sent} sent, {self.answered} right, {dict(self.fates())}: {self.failures[:10]}"

    def stop(self):
        """Ends them, each with its last reply, and checks that every request is accounted for."""
        self._stop.set()
        for thread in self._threads:
            thread.join(self.patience_s + 30)
        assert not any(thread.is_alive() for thread in self._threads), "a client did not come to its end"
        assert not self._broken, self._broken
        assert self.sent == self.answered + len(self.failures), f"not every request is accounted for: {self.described()}"

    # What the clients do.

    def _run(self, kind, chance):
        try:
            while not self._stop.is_set():
                kind(chance)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the count is not to be trusted
            self._broken.append(repr(error))

    def _stay(self, chance):
        self._keep(chance, requests=60, pause_s=0.004)

    def _doze(self, chance):
        self._keep(chance, requests=20, pause_s=1.0)

    def _come(self, chance):
        self._ask(None, chance, close=True)
        self._stop.wait(chance.random() * 0.01)

    def _keep(self, chance, requests, pause_s):
        """Some requests on one connection, as long as the server keeps it."""
        connection = None
        for _ in range(requests):
            connection = self._ask(connection, chance)
            if connection is None or self._stop.wait(chance.random() * pause_s):
                break
            if connection.has_ended():
                with self._lock:
                    self.ended_idle += 1
                break
        if connection is not None:
            connection.close()

    def _ask(self, connection, chance, close=False):
        """One request, on a new connection if there is none; returns the connection if it may be used again."""
        with self._lock:
            serial = next(self._serials)
            self.sent += 1
        try:
            connection = connection or Connection(self.address, self.patience_s)
            answer = connection.exchange(chance.choice(ASKS), serial, close)
        except Failed as failed:
            self._fail(failed, serial, connection)
            return None
        with self._lock:
            self.answers[answer] += 1
        if connection.closes:
            connection.close()
            return None
        return connection

    def _fail(self, failed, serial, connection):
        last = connection.last_pid if connection else None
        with self._lock:
            self.failures.append(Failure(failed.fate, str(failed), serial, last, time.monotonic()))
        if connection:
            connection.close()
        if failed.fate == REFUSED:
            self._stop.wait(_AFTER_REFUSAL_S)
