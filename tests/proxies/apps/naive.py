"""A backend that makes the classic mistakes, to show that the smuggling tests see them. Started as `naive.py PORT`.

Lines may end in a bare LF. A field's name ends at the colon, whatever comes before it, and underscores are dashes. Any
Transfer-Encoding in which `chunked` occurs is chunked, and it is one more strong than Content-Length, of which the last
counts. A chunk's size is what comes before anything that is no digit of it, and what follows its data is not looked at.
GET has no body. What is too large is refused, and what comes of it is the next request.
"""

import re
import socketserver
import sys

from recorder import record

LIMIT = 65536


class Naive(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self):
        """Serves requests until the client closes."""
        while first := self.rfile.readline():
            if not first.strip():
                continue
            words = first.split()
            fields = self._fields()
            body = b"" if words[0] == b"GET" else self._body(fields)
            if body is None:
                self.wfile.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
                continue
            target = words[1].decode("latin-1") if len(words) > 1 else ""
            ids = ",".join(value.decode("latin-1") for name, value in fields if name == b"x-front-id") or None
            head, reply = record(words[0].decode("latin-1"), target, ids, body, str(self.client_address[1]))
            lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in head), "", ""]
            self.wfile.write("\r\n".join(lines).encode() + (b"" if words[0] == b"HEAD" else reply))

    def _fields(self):
        fields = []
        while (line := self.rfile.readline()) not in (b"\r\n", b"\n", b""):
            name, _, value = line.partition(b":")
            fields.append((name.strip().lower().replace(b"_", b"-"), value.strip()))
        return fields

    def _body(self, fields):
        named = dict(fields)
        if b"chunked" in named.get(b"transfer-encoding", b"").lower():
            return self._chunks()
        length = int((re.findall(rb"\d+", named.get(b"content-length", b"0")) or [0])[-1])
        return self.rfile.read(length) if length <= LIMIT else None

    def _chunks(self):
        body = b""
        while size := int(re.match(rb"[0-9a-fA-F]*", self.rfile.readline())[0] or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.read(2)
        self._fields()
        return body


class Server(socketserver.ThreadingTCPServer):
    """A thread a connection."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Naive) as server:
        server.serve_forever()
