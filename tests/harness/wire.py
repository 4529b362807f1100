"""A raw HTTP/1.x client that reads replies strictly: what a lenient client forgives is a failure here."""

import re
import socket

from .client import Reply

_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})")


class Truncated(AssertionError):
    """The peer closed before the reply was whole. `reply` holds what came of it, or None if not even a head did."""

    def __init__(self, message, reply=None):
        super().__init__(message)
        self.reply = reply


class Wire:
    """One connection to a server."""

    def __init__(self, address, timeout=10.0):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the connection."""
        self.socket.close()

    def send(self, data):
        """Sends bytes, all of them."""
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return self

    def get(self, target, *fields, method="GET"):
        """Sends a request without a body over HTTP/1.1; the reply is not read."""
        lines = [f"{method} {target} HTTP/1.1", "Host: test.example", *fields, "", ""]
        return self.send("\r\n".join(lines))

    def finish_sending(self):
        """Half-closes: says that no more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reply(self, method="GET"):
        """Reads exactly one reply to a request of that method."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            raise Truncated(f"closed before the head ended, after {self._buffer!r}")
        version, status, reason, headers = _parse_head(head)
        reply = Reply(status, reason, headers, b"", version)
        if method == "HEAD" or status < 200 or status in (204, 304):
            return reply
        self._read_body(reply)
        return reply

    def final_reply(self, method="GET"):
        """Reads replies up to the first that is not interim (1xx)."""
        while (reply := self.reply(method)).status < 200:
            pass
        return reply

    def exchange(self, target, *fields, method="GET"):
        """Sends a request without a body and reads its reply."""
        return self.get(target, *fields, method=method).reply(method)

    def expect_closed(self):
        """Asserts that the peer sends nothing more and closes."""
        rest = self._buffer + self._drain()
        assert rest == b"", f"expected the connection to be closed, but got {rest[:200]!r}"

    def expect_open(self, target="/hello"):
        """Asserts that nothing extra was sent and that the connection serves another request."""
        assert self._buffer == b"", f"bytes after the reply: {self._buffer[:200]!r}"
        reply = self.exchange(target)
        assert reply.status == 200, reply
        return reply

    def reset(self):
        """Closes abruptly: the peer sees a reset instead of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def _read_body(self, reply):
        length = reply.fields("content-length")
        coding = reply.fields("transfer-encoding")
        assert not (length and coding), f"both Content-Length and Transfer-Encoding: {reply}"
        if coding:
            assert coding == ["chunked"], coding
            self._read_chunks(reply)
        elif length:
            assert len(length) == 1, f"Content-Length more than once: {length}"
            assert re.fullmatch("[0-9]+", length[0]), length
            self._read_length(reply, int(length[0]))
        else:
            reply.body, self._buffer = self._buffer + self._drain(), b""

    def _read_length(self, reply, length):
        parts, have = [self._buffer], len(self._buffer)
        while have < length and (data := self._receive()):
            parts.append(data)
            have += len(data)
        data = b"".join(parts)
        reply.body, self._buffer = data[:length], data[length:]
        if have < length:
            raise Truncated(f"body of {length} bytes ended after {have}", reply)

    def _read_chunks(self, reply):
        parts = []
        while True:
            line = self._until(b"\r\n")
            if line is None:
                reply.body = b"".join(parts)
                raise Truncated(f"chunked body ended after {len(reply.body)} bytes without a last chunk", reply)
            matched = _CHUNK.fullmatch(line)
            assert matched, f"bad chunk size line {line!r}"
            size = int(matched[1], 16)
            if size == 0:
                break
            parts.append(self._chunk(reply, parts, size))
        assert self._until(b"\r\n") == b"", "trailers, where none were announced"
        reply.body = b"".join(parts)

    def _chunk(self, reply, parts, size):
        while len(self._buffer) < size + 2:
            data = self._receive()
            if not data:
                reply.body = b"".join([*parts, self._buffer[:size]])
                raise Truncated(f"chunk of {size} bytes ended early", reply)
            self._buffer += data
        chunk, end, self._buffer = self._buffer[:size], self._buffer[size : size + 2], self._buffer[size + 2 :]
        assert end == b"\r\n", f"chunk is not followed by CRLF but {end!r}"
        return chunk

    def _until(self, mark):
        """Everything before the mark, which is dropped; None if the peer closes first."""
        while mark not in self._buffer:
            data = self._receive()
            if not data:
                return None
            self._buffer += data
        found, self._buffer = self._buffer.split(mark, 1)
        return found

    def _receive(self):
        try:
            return self.socket.recv(1 << 18)
        except ConnectionResetError:
            return b""

    def _drain(self):
        parts = []
        while data := self._receive():
            parts.append(data)
        return b"".join(parts)


def _parse_head(head):
    first, *lines = head.split(b"\r\n")
    matched = _STATUS_LINE.fullmatch(first)
    assert matched, f"bad status line {first!r}"
    headers = []
    for line in lines:
        field = _FIELD.fullmatch(line)
        assert field, f"bad header line {line!r}"
        headers.append((field[1].decode(), field[2].decode("latin-1")))
    return matched[1].decode(), int(matched[2]), matched[3].decode("latin-1"), headers
