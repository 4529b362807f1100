"""A crowd of clients that do everything clients do, good and bad, to the application `soak`, and check each answer."""

import hashlib
import random
import socket
import threading
import time

from .wire import Truncated, Wire

MEGABYTE = 1 << 20
PATTERN = bytes(range(256)) * 16
#: What is larger is kept on disk by the server while it is received.
IN_MEMORY, ON_DISK = 100_000, 2_500_000


def pattern(size):
    """So many of the bytes that the application's long replies consist of."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


FILE = pattern(MEGABYTE)


def digest(data):
    """As the application tells it."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


class Client:
    """One client, with a chance of its own. Each method that is in `DEEDS` is what it may do next."""

    def __init__(self, address, seed):
        self.address = address
        self.chance = random.Random(seed)
        self.requests = 0

    def wire(self):
        """A new connection."""
        return Wire(self.address, timeout=60)

    def ask(self, wire, path, *fields, method="GET", body=b"", status=200, expected=None):
        """One request, and its reply, which must be the right one."""
        token = self.send(wire, path, *fields, method=method, body=body)
        return self.take(wire, path, token, method=method, status=status, expected=expected)

    def send(self, wire, path, *fields, method="GET", body=b""):
        """One request with a token of its own, which is returned."""
        self.requests += 1
        token = f"{self.chance.getrandbits(64):x}"
        lines = [f"{method} {path} HTTP/1.1", "Host: soak.example", f"X-Token: {token}", *fields, "", ""]
        wire.send("\r\n".join(lines).encode() + body)
        return token

    def take(self, wire, path, token, method="GET", status=200, expected=None):
        """The reply to the request with that token."""
        reply = wire.final_reply(method)
        assert reply.status == status, (path, reply)
        # An error page of the server's has none.
        assert reply.header("x-token") in ((token,) if status < 500 else (token, None)), (path, token, reply.headers)
        if method != "HEAD" and expected is not None:
            assert reply.body == expected, (path, len(reply.body), reply.body[:100])
        return reply

    # What it does.

    def stays(self):
        """Request after request on one connection."""
        name = f"{self.chance.getrandbits(16):x}"
        with self.wire() as wire:
            for _ in range(4):
                self.ask(wire, "/hello", expected=b"hello")
                self.ask(wire, f"/flask/hello/{name}", expected=f"Hello, {name}!".encode())
                self.ask(wire, f"/django/hello/{name}", expected=f"Hello, {name}!".encode())
                self.ask(wire, "/contexts", expected=b"none")

    def comes_and_goes(self):
        """A connection for each request."""
        for path in ("/hello", "/kept", "/contexts"):
            with self.wire() as wire:
                self.ask(wire, path, "Connection: close")
                wire.expect_closed()

    def pipelines(self):
        """Many at once."""
        paths = [self.chance.choice(["/hello", "/contexts", "/kept", "/listed?3000", "/replaced"]) for _ in range(30)]
        with self.wire() as wire:
            tokens = [self.send(wire, path) for path in paths]
            for path, token in zip(paths, tokens):
                self.take(wire, path, token, status=503 if path == "/replaced" else 200)

    def uploads(self):
        """Bodies in memory and on disk, of known length and chunked, read or not, with and without leave."""
        data = self.chance.randbytes(self.chance.choice([1, 5000, IN_MEMORY, ON_DISK]))
        known = f"Content-Length: {len(data)}"
        parts = [part for part in (data[:1000], data[1000:]) if part]
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        first = data[:100].split(b"\n")[0]
        first += b"\n" if first != data[:100] else b""
        with self.wire() as wire:
            self.ask(wire, "/upload", known, method="POST", body=data, expected=digest(data))
            self.ask(wire, "/upload", "Transfer-Encoding: chunked", method="POST", body=chunked, expected=digest(data))
            self.ask(wire, "/ignored", known, method="PUT", body=data, expected=b"ignored")
            self.ask(wire, "/some", known, method="POST", body=data, expected=first)
            token = self.send(wire, "/upload", known, "Expect: 100-continue", method="POST")
            assert wire.reply().status == 100
            wire.send(data)
            self.take(wire, "/upload", token, expected=digest(data))

    def sends_forms(self):
        """Files of forms."""
        data = self.chance.randbytes(self.chance.choice([2000, ON_DISK]))
        # One boundary for all: frameworks make a regular expression of each, which Python keeps for a while.
        start = b'--soak\r\nContent-Disposition: form-data; name="file"; filename="some.bin"\r\n\r\n'
        body = start + data + b"\r\n--soak--\r\n"
        with self.wire() as wire:
            for path in ("/flask/upload", "/django/upload"):
                fields = ("Content-Type: multipart/form-data; boundary=soak", f"Content-Length: {len(body)}")
                self.ask(wire, path, *fields, method="POST", body=body, expected=digest(data))

    def downloads(self):
        """Long replies of all kinds."""
        size = self.chance.choice([10, 30_000, MEGABYTE, 3 * MEGABYTE]) // 10 * 10
        offset = self.chance.randrange(MEGABYTE)
        with self.wire() as wire:
            for path in ("listed", "generated", "written"):
                self.ask(wire, f"/{path}?{size}", expected=pattern(size // 10) * 10)
            self.ask(wire, f"/wrapped?{size}", expected=pattern(size))
            self.ask(wire, f"/filed?{offset}", expected=FILE[offset:])
            self.ask(wire, "/flask/file", expected=FILE)
            part = self.ask(wire, "/flask/file", f"Range: bytes={offset}-", status=206)
            assert part.body == FILE[offset:]
            self.ask(wire, "/django/file", expected=FILE)
            for path in ("/flask/stream", "/django/stream"):
                self.ask(wire, path, expected=b"".join(b"%s %d\n" % (path.encode(), number) for number in range(50)))

    def asks_for_heads(self):
        """HEAD, where bodies are made for nobody."""
        with self.wire() as wire:
            for path in ("/hello", f"/generated?{MEGABYTE}", "/filed?0", "/flask/file", "/django/stream", "/kept"):
                self.ask(wire, path, method="HEAD")

    def heeds_hints(self):
        """Early hints before the reply."""
        with self.wire() as wire:
            token = self.send(wire, "/hinted")
            hints = [wire.reply(), wire.reply()]
            assert [hint.status for hint in hints] == [103, 103], hints
            self.take(wire, "/hinted", token, expected=b"hinted")
            wire.send(f"GET /hinted HTTP/1.0\r\nX-Token: {token}\r\n\r\n")
            self.take(wire, "/hinted", token, expected=b"hinted")

    def has_threads_work(self):
        """Has the application use threads of its own."""
        with self.wire() as wire:
            self.ask(wire, "/threaded?1000", expected=pattern(1000))

    def meets_errors(self):
        """Whatever goes wrong in the application."""
        for path in ("/fails", "/yields_text", "/starts_twice", "/flask/fail", "/django/fail"):
            with self.wire() as wire:
                self.ask(wire, path, status=500)
        with self.wire() as wire:
            self.ask(wire, "/fails_in_close", expected=b"some")
            self.ask(wire, "/replaced", status=503, expected=b"replaced")
            token = self.send(wire, "/fails_later")
            try:
                self.take(wire, "/fails_later", token)
            except Truncated as truncated:
                assert truncated.reply.body in (b"some", b""), truncated
            else:
                raise AssertionError("a body that is not whole looks as if it were")

    def is_refused(self):
        """Sends what is no request."""
        for nonsense in ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "BAD\r\n\r\n"):
            with self.wire() as wire:
                self.requests += 1
                assert wire.send(nonsense).reply().status == 400

    def leaves_early(self):
        """Leaves in the midst of a request."""
        head = "POST /upload HTTP/1.1\r\nHost: a\r\n"
        for start in (
            head,
            f"{head}Content-Length: {IN_MEMORY}\r\n\r\n" + "x" * (IN_MEMORY // 2),
            f"{head}Content-Length: {ON_DISK}\r\n\r\n" + "x" * (ON_DISK - 1),
            f"{head}Transfer-Encoding: chunked\r\n\r\nffff\r\nabc",
        ):
            with self.wire() as wire:
                self.requests += 1
                wire.send(start)
                if self.chance.random() < 0.5:
                    wire.reset()

    def leaves_midway(self):
        """Leaves in the midst of a reply."""
        for path in (f"/listed?{8 * MEGABYTE}", f"/generated?{8 * MEGABYTE}", "/endless", "/pushed", "/flask/file"):
            with self.wire() as wire:
                self.send(wire, path)
                wire.socket.recv(self.chance.choice([1, 70_000]))
                if self.chance.random() < 0.5:
                    wire.reset()

    def reads_slowly(self):
        """Takes a long reply in small bites, with a pause after each."""
        size = 2 * MEGABYTE // 10 * 10
        with self.wire() as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            path = self.chance.choice(["listed", "generated", "written"])
            token = self.send(wire, f"/{path}?{size}", "Connection: close")
            taken = []
            while part := wire.socket.recv(20_000):
                taken.append(part)
                time.sleep(0.001)
            head, _, body = b"".join(taken).partition(b"\r\n\r\n")
            assert token.encode() in head and len(body) >= size, (len(body), head)


#: How often each is done in a round.
DEEDS = {
    "stays": 6,
    "comes_and_goes": 6,
    "pipelines": 4,
    "uploads": 4,
    "sends_forms": 2,
    "downloads": 2,
    "asks_for_heads": 2,
    "heeds_hints": 2,
    "has_threads_work": 2,
    "meets_errors": 2,
    "is_refused": 1,
    "leaves_early": 2,
    "leaves_midway": 2,
    "reads_slowly": 1,
}


def let_in(address, rounds, seed, clients=8):
    """Has that many clients do all deeds for so many rounds each, in an order of chance; returns the requests made.

    The first thing that goes wrong is raised, once all are done.
    """
    crowd = [Client(address, f"{seed}-{number}") for number in range(clients)]
    wrong = []

    def live(client):
        for _ in range(rounds):
            deeds = [name for name, often in DEEDS.items() for _ in range(often)]
            client.chance.shuffle(deeds)
            for deed in deeds:
                try:
                    getattr(client, deed)()
                except Exception as error:
                    error.args = (f"{deed} (seed {seed!r}): {error}",)
                    wrong.append(error)
                    return

    threads = [threading.Thread(target=live, args=(client,)) for client in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return sum(client.requests for client in crowd)
