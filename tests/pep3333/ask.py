"""One rule's questions to one server: replies as they are on the wire, facts from the application, lines of the log."""

import contextlib
import json
import socket
import time

from harness import Truncated, Wire, wait_until

from .rule import Breach, NotAsked

#: Within this a rule must have its verdict.
RULE_SECONDS = 20.0
#: How long a reply, or a fact, is waited for.
PATIENCE = 6.0
#: How long a server must be silent before it is taken to send nothing: for what must not come no fact can be awaited.
SILENCE_SECONDS = 0.3


class Heard(Wire):
    """A connection on which all waits together end with the rule's time."""

    def __init__(self, address, end, window=None):
        super().__init__(address, PATIENCE)
        self._end = end
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)

    def _receive(self):
        left = self._end - time.monotonic()
        if left <= 0:
            raise Breach("it goes on and on")
        self.socket.settimeout(min(PATIENCE, left))
        return super()._receive()

    def until(self, mark, why):
        """Reads until bytes have come; a breach that says `why` where they don't."""
        try:
            while mark not in self._buffer:
                data = self._receive()
                if not data:
                    raise Breach(f"{why}: the connection ended")
                self._buffer += data
        except TimeoutError:
            raise Breach(why) from None

    def until_enough(self, byte, number, why):
        """Reads until so many of one byte have come behind the head."""
        found = self._buffer.partition(b"\r\n\r\n")[2].count(byte)
        try:
            while found < number:
                self._buffer = self._receive()
                if not self._buffer:
                    raise Breach(f"{why}: the connection ended")
                found += self._buffer.count(byte)
        except TimeoutError:
            raise Breach(why) from None

    def expect_nothing(self, why):
        """A breach where any byte comes within a while."""
        self.socket.settimeout(SILENCE_SECONDS)
        try:
            data = self._buffer or self.socket.recv(4096)
        except TimeoutError:
            return
        raise Breach(why if data else "the connection was closed")

    def all(self):
        """Everything up to the end of the connection, or until nothing more comes."""
        try:
            while data := self._receive():
                self._buffer += data
        except TimeoutError:
            pass
        return self._buffer


class Ask:
    """What a rule's check is given."""

    def __init__(self, server, directory):
        self.server = server
        #: What the application sees as its query: a folder for facts and gates.
        self.folder = directory
        self._logged = len(server.log())
        self._end = time.monotonic() + RULE_SECONDS

    # Requests.

    def wire(self, window=None):
        """A connection, of which the system takes about `window` bytes ahead of us."""
        return Heard(self.server.address, self._end, window)

    def target(self, route):
        """Where a route is, with the shared folder as its query."""
        return f"/{route}?{self.folder}"

    def head(self, route, *fields, method="GET", version="HTTP/1.1"):
        """A request's head."""
        lines = [f"{method} {self.target(route)} {version}", "Host: test.example", *fields, "", ""]
        return "\r\n".join(lines)

    def get(self, route, *fields, method="GET", version="HTTP/1.1"):
        """One request without a body, and its whole reply."""
        with self.wire() as wire:
            return wire.send(self.head(route, *fields, method=method, version=version)).reply(method)

    def post(self, route, body, *fields):
        """One request with a body, and its whole reply."""
        with self.wire() as wire:
            wire.send(self.head(route, f"Content-Length: {len(body)}", *fields, method="POST")).send(body)
            return wire.final_reply("POST")

    def seen(self, reply):
        """What the application reported in its body."""
        if reply.status != 200:
            raise Breach(f"the answer is {reply.status} {reply.reason}")
        return json.loads(reply.body)

    def broken_off(self, route, *fields):
        """A reply of which the client must see that it is not whole: what came of it, or None if not even a head did.

        A server that marks the end of bodies by the connection's alone can't show it: of that one it can't be asked.
        """
        with self.wire() as wire:
            try:
                reply = wire.send(self.head(route, *fields)).reply()
            except Truncated as error:
                return error.reply
        if reply.status >= 500:
            return None
        if reply.header("content-length") is None and not reply.fields("transfer-encoding"):
            raise NotAsked("its bodies end with the connection, broken or not")
        raise Breach("the client gets what looks like a whole reply")

    def everything(self, route, *fields, version="HTTP/1.1"):
        """One request for a connection that is to be closed, and all bytes that come."""
        with self.wire() as wire:
            return wire.send(self.head(route, "Connection: close", *fields, version=version)).all()

    # What the application noted.

    def facts(self, name):
        """The lines that the application noted."""
        path = self.folder / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def wait_fact(self, name, why):
        """Waits for the application to note something; a breach that says `why` where it does not."""
        try:
            return wait_until(lambda: self.facts(name), PATIENCE)
        except AssertionError:
            raise Breach(why) from None

    def may_note(self, name):
        """Gives the application some time to note something, which it need not."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.facts(name), SILENCE_SECONDS)

    def open_gate(self):
        """Lets the application go on."""
        (self.folder / "gate").touch()

    # What the server logged.

    @property
    def mark(self):
        """A word that stands in no other rule's lines."""
        return self.folder.name

    def wait_log(self, text, why):
        """Waits until the server has logged a text since the rule began."""
        try:
            wait_until(lambda: text in self.logged(), PATIENCE / 2)
        except AssertionError:
            raise Breach(why) from None

    def logged(self):
        """What the server has logged since the rule began."""
        return self.server.log()[self._logged :]
