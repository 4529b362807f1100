"""Where an attack happens: a backend that records its requests, a front before it, the attacker, and the victims whose
requests travel over the same connections to the backend."""

import json
import re
import select
import uuid
from dataclasses import dataclass
from pathlib import Path

from fronts import ID_FIELD
from harness import Wire, wait_until

#: How long the attacker waits for an answer before he goes on. An answer that comes later changes nothing that is
#: asserted: the victims come after him either way.
_MOMENT_SECONDS = 0.03
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2}) ")
_ORIGIN = re.compile(r"https?://[^/?]*")


class Record:
    """What the backend wrote down, read on from where it was left."""

    def __init__(self, path):
        self._path = Path(path)
        self._position = 0

    def news(self):
        """The requests that came since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        self._position += data.rfind(b"\n") + 1
        return [json.loads(line) for line in data.splitlines(keepends=True) if line.endswith(b"\n")]


@dataclass(frozen=True)
class Hidden:
    """The request that an attacker hides: whole, or without an end, so that it swallows what comes behind it."""

    path: str
    data: bytes

    @classmethod
    def whole(cls):
        """A request with its end, and an id that no front gave it."""
        path = f"/smuggled-{uuid.uuid4().hex[:12]}"
        text = f"GET {path} HTTP/1.1\r\nHost: front.example\r\n{ID_FIELD}: forged\r\n\r\n"
        return cls(path, text.encode())

    @classmethod
    def swallowing(cls):
        """One whose last field goes on with the next client's first line."""
        path = f"/smuggled-{uuid.uuid4().hex[:12]}"
        return cls(path, f"GET {path} HTTP/1.1\r\nHost: front.example\r\nX-Swallow: ".encode())


class Attacker:
    """One client's connection, and all that came back on it."""

    def __init__(self, address):
        self.wire = Wire(address)
        self.received = b""

    def send(self, parts):
        """Sends piece after piece; what can't be sent because the peer is gone is not sent."""
        for part in parts:
            try:
                self.wire.send(part)
            except OSError:
                break
            self.listen(_MOMENT_SECONDS)

    def listen(self, seconds=0.0):
        """Takes what is there, or comes within so many seconds."""
        while select.select([self.wire.socket], [], [], seconds)[0]:
            if not self._receive():
                return
            seconds = 0.0

    def listen_to_the_end(self):
        """Says that no more will come, and takes everything up to the end."""
        try:
            self.wire.finish_sending()
        except OSError:
            pass
        while self._receive():
            pass

    def _receive(self):
        try:
            data = self.wire.socket.recv(1 << 16)
        except ConnectionError:
            return False
        self.received += data
        return bool(data)


class Victim:
    """An ordinary client with a request of its own, on a connection of its own."""

    def __init__(self, kind):
        self.token = uuid.uuid4().hex
        self.method, self.body, self.request = getattr(self, f"_{kind}")()

    def ask(self, front):
        """Sends the request; returns what is wrong with the answer, or None."""
        with front.wire() as wire:
            try:
                reply = wire.send(self.request).reply(self.method)
            except (AssertionError, OSError) as error:
                return f"a victim's {self.method} was answered badly: {error!r}"
        seen = f"{self.method} {self._target}"
        if reply.status != 200 or reply.fields("x-seen") != [seen]:
            return f"a victim asked {seen}, and got: {reply}"
        if self.method != "HEAD" and reply.json["body"] != self.body:
            return f"the body of a victim's {seen} was {self.body!r}, but the backend saw {reply.json['body']!r}"
        return None

    @property
    def _target(self):
        return f"/victim?{self.token}"

    def _head(self, method, *fields):
        return "\r\n".join([f"{method} {self._target} HTTP/1.1", "Host: front.example", *fields, "", ""])

    def _get(self):
        return "GET", "", self._head("GET")

    def _head_only(self):
        return "HEAD", "", self._head("HEAD")

    def _post(self):
        body = f"body={self.token}"
        return "POST", body, self._head("POST", f"Content-Length: {len(body)}") + body

    def _chunked(self):
        body = f"body={self.token}"
        return "POST", body, self._head("POST", "Transfer-Encoding: chunked") + f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"


#: While the attacker's connection is open, and after he closed it.
_VICTIMS_DURING = ("get", "post", "head_only", "chunked")
_VICTIMS_AFTER = ("post", "get")


class Scene:
    """A front before a backend, and the invariant: each request that reaches the backend is one that the front knows,
    and each victim gets the answer to the request that it made."""

    def __init__(self, front, record):
        self.front = front
        self._record = Record(record)
        self._seen = set()

    def violations(self, attack):
        """Carries out an attack in both its forms; returns what should not have happened, a sentence each."""
        found = []
        for hidden in (Hidden.whole(), Hidden.swallowing()):
            found += self._attempt(attack, hidden)
        return found

    def _attempt(self, attack, hidden):
        attacker = Attacker(self.front.address)
        with attacker.wire:
            attacker.send(attack.parts(hidden.data))
            victims = [Victim(kind) for kind in _VICTIMS_DURING]
            found = [victim.ask(self.front) for victim in victims]
            attacker.listen()
        late = [Victim(kind) for kind in _VICTIMS_AFTER]
        found += [victim.ask(self.front) for victim in late]
        for victim in [*victims, *late]:
            if victim.token.encode() in attacker.received:
                found.append(f"the attacker received a victim's token: {attacker.received!r}")
        return [each for each in found if each] + self.offences()

    def offences(self):
        """What is wrong with the requests that reached the backend since this was last asked."""
        return [found for request in self._record.news() if (found := self._offence(request))]

    def _offence(self, request):
        """What is wrong with a request that reached the backend, or None."""
        ident = request["ids"]
        if ident is None:
            return f"a request without the front's id reached the backend: {request}"
        if not re.fullmatch(re.escape(self.front.secret) + r"[\w@-]+", ident):
            return f"a request with an id that the front did not give it: {request}"
        if ident in self._seen:
            return f"the same id came twice: {request}"
        self._seen.add(ident)
        logged = wait_until(lambda: self.front.requests().get(ident), 5, lambda: f"{ident} in {self.front.tail()}")
        if (logged.method, _path(logged.target)) != (request["method"], _path(request["target"])):
            return f"the front knows {ident} as {logged}, but it reached the backend as {request}"
        return None


class DirectScene:
    """A backend alone. An attacker harms only himself, but what follows a refused request must not be served."""

    def __init__(self, address, record):
        self._address = address
        self._record = Record(record)

    def attempt(self, attack):
        """Carries out an attack; returns the statuses answered, each with whether the application gave it, the targets
        that the application saw, and the hidden one."""
        hidden = Hidden.whole()
        attacker = Attacker(self._address)
        with attacker.wire:
            attacker.send(attack.parts(hidden.data))
            attacker.listen_to_the_end()
        starts = [found.start() for found in _STATUS_LINE.finditer(attacker.received)]
        replies = [attacker.received[a:b] for a, b in zip(starts, [*starts[1:], len(attacker.received)])]
        answers = [(int(_STATUS_LINE.match(reply)[1]), b"\r\nX-Seen:" in reply) for reply in replies]
        return answers, [request["target"] for request in self._record.news()], hidden.path


def _path(target):
    """A target without scheme and authority, which a front may leave out."""
    return _ORIGIN.sub("", target, count=1) or "/"
