"""Many connections side by side, each with one row's bytes in pieces, and what came of each.

Between one piece and the next of all connections the server is asked something on a connection of its own, and its
answer awaited: so it has looked at each piece before the next is sent, without a pause that might be too short.
"""

import contextlib
import selectors
import socket
import time
from collections import deque

from harness import UNDER_TEST, Truncated, Wire

from .outcome import Outcome, broken_promise, fault

#: How long a reply, or the connection's end, is waited for.
PATIENCE = 6.0
#: How long a server must be silent before it is taken to wait for more.
SILENCE_SECONDS = 0.5
#: How many connections are open side by side.
SIDE_BY_SIDE = 96
#: How often patience is looked at while nothing happens, in seconds.
_TICK = 0.05
PROBE = b"GET / HTTP/1.1\r\nHost: probe\r\n\r\n"


class Exchange:
    """One connection: pieces to send, replies to expect."""

    def __init__(self, row, expected, plan):
        self.row = row
        self.name, pieces = plan
        self.outcome = None
        self.expected = expected
        self._pieces = deque(pieces)
        self._heard = b""
        self._then = row.then
        self._found, self._interim, self._trouble = [], [], ""
        self._probed = False
        self._due = 0.0
        self._last_sent = 0.0
        self.socket = None

    def open(self, address):
        """Connects."""
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self.socket.setblocking(False)
        if not isinstance(address, str):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._last_sent = time.monotonic()
        self._schedule(self._last_sent)

    @property
    def due(self):
        """When the next piece is to be sent; None if there is none."""
        return self._due if self._pieces and self.outcome is None else None

    def send_next(self, now):
        """Sends the next piece."""
        pause, piece = self._pieces.popleft()
        try:
            sent = self.socket.send(piece)
        except BlockingIOError:
            sent = 0
        except OSError:
            # It was refused before all of it was sent, which is the server's right.
            self._pieces.clear()
            return
        if sent < len(piece):
            self._pieces.appendleft((pause, piece[sent:]))
        if sent:
            self._last_sent = now
        self._schedule(now)
        if not self._pieces:
            if self.row.half_close:
                self._finish_sending()
            # An application that reads no body may have answered before the body was sent.
            self._go_on()

    def lose_patience(self, now):
        """Ends the wait of a row whose point is that nothing comes, or that has waited for too long."""
        silent = self.expected.hangs and not self._pieces and not self._found
        if self.outcome is None and now > self._last_sent + (SILENCE_SECONDS if silent else PATIENCE):
            self._conclude("waits")

    def listen(self):
        """Takes what has come."""
        while self.outcome is None:
            try:
                data = self.socket.recv(1 << 16)
            except BlockingIOError:
                return
            except ConnectionResetError:
                # gunicorn closes with a reset where bytes are left that it has not read.
                return self._conclude("resets" if UNDER_TEST == "tapster" else "closes")
            if not data:
                return self._conclude("closes")
            self._heard += data
            self._go_on()

    def close(self):
        """Closes the connection."""
        if self.socket:
            self.socket.close()

    def _schedule(self, now):
        if self._pieces:
            self._due = now + self._pieces[0][0]

    def _finish_sending(self):
        with contextlib.suppress(OSError):  # where it is closed already
            self.socket.shutdown(socket.SHUT_WR)

    def _go_on(self):
        self._read(ended=False)
        found, expected = self._found, self.expected
        if self._trouble or any(map(fault, expected.replies, found)):
            self._conclude("waits")
        elif self._interim and self._then:
            self._pieces.append((0, self._then))
            self._then = b""
        elif expected.stays and len(found) >= len(expected.replies) and not self._pieces:
            if not self._probed:
                self._probed = True
                self._pieces.append((0, PROBE))
            elif len(found) > len(expected.replies):
                self._conclude("stays")

    def _conclude(self, end):
        self._read(ended=end in ("closes", "resets"))
        replies, trouble = self._found, self._trouble
        if end == "stays":
            *replies, answer = replies
            if (answer.status, answer.body) != (200, b"hello"):
                trouble = trouble or f"the request after it got {answer}"
        if UNDER_TEST == "tapster" and not trouble and not self.expected.unannounced:
            trouble = broken_promise(replies, end)
        self.outcome = Outcome(tuple(replies), end, trouble, tuple(self._interim))
        self._pieces.clear()

    def _read(self, ended):
        """Takes the replies that are whole, or at the end broken off, out of what was heard."""
        expected = self.expected.replies
        while self._heard and not self._trouble:
            number = len(self._found)
            heard = _Heard(self._heard, ended)
            try:
                reply = heard.reply(expected[number].method if number < len(expected) else "GET")
                reply.cut = False
            except _MoreMustCome:
                return
            except Truncated as error:
                reply = error.reply
                if reply is None:
                    self._trouble = str(error)
                    return
                reply.cut = True
            except AssertionError as error:
                self._trouble = str(error)
                return
            (self._found if reply.status >= 200 else self._interim).append(reply)
            self._heard = heard.rest


class _MoreMustCome(Exception):
    """A reply is not whole yet."""


class _Heard(Wire):
    """The bytes that have come so far, read as strictly as a connection's."""

    def __init__(self, data, ended):
        self._buffer = data
        self._ended = ended

    @property
    def rest(self):
        """What has not been read."""
        return self._buffer

    def _receive(self):
        if not self._ended:
            raise _MoreMustCome
        return b""


class Metronome:
    """A connection on which the server is asked whether it has looked at all that was sent before."""

    def __init__(self, address, greeting):
        self._address = address
        self._greeting = greeting
        self._socket = None

    def wait(self):
        """Returns when the server has looked at everything, whatever it answers."""
        if UNDER_TEST != "tapster":
            # gunicorn's gthread answers nobody while it waits for a client to close, which we do only after this.
            time.sleep(0.002)
            return
        # Of events that a server learns of at once, ours may come first, but not twice.
        self._ask()
        self._ask()

    def _ask(self):
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET)
            self._socket.settimeout(PATIENCE)
            self._socket.connect(self._address)
            self._socket.sendall(self._greeting)
        try:
            self._socket.sendall(PROBE)
            answer = self._socket.recv(4096)
        except OSError:
            answer = b""
        if not answer or b"close\r\n" in answer:
            self.close()

    def close(self):
        """Closes the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def play(address, exchanges, greeting=b""):
    """Plays every exchange to its end; each then has its outcome. `greeting` is what a connection must begin with."""
    metronome = Metronome(address, greeting)
    try:
        for start in range(0, len(exchanges), SIDE_BY_SIDE):
            _play_some(address, exchanges[start : start + SIDE_BY_SIDE], metronome)
    finally:
        metronome.close()


def _play_some(address, exchanges, metronome):
    with selectors.DefaultSelector() as selector:
        try:
            for exchange in exchanges:
                exchange.open(address)
                selector.register(exchange.socket, selectors.EVENT_READ, exchange)
            # Connections are accepted in their order, so that one behind the others is answered when all are.
            metronome.close()
            metronome.wait()
            open_ones = list(exchanges)
            while open_ones:
                now = time.monotonic()
                waiting = [exchange for exchange in open_ones if exchange.due is not None]
                due = [exchange for exchange in waiting if exchange.due <= now]
                for exchange in due:
                    exchange.send_next(now)
                if due:
                    metronome.wait()
                soonest = min((exchange.due - now for exchange in waiting if exchange not in due), default=_TICK)
                for key, _ in selector.select(0 if due else max(0, min(soonest, _TICK))):
                    key.data.listen()
                now = time.monotonic()
                for exchange in open_ones:
                    exchange.lose_patience(now)
                    if exchange.outcome:
                        # At once: gunicorn's gthread accepts nobody while it waits for a client to close.
                        selector.unregister(exchange.socket)
                        exchange.close()
                open_ones = [exchange for exchange in open_ones if exchange.outcome is None]
        finally:
            for exchange in exchanges:
                exchange.close()
