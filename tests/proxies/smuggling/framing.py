"""Attacks on where a body ends: Content-Length against Transfer-Encoding, and either of them written oddly."""

from .attack import BODY, PIPELINED, REFUSED, Attack, head, row

_LATIN_SUPERSCRIPT_TWO = "\xb2"

#: How Transfer-Encoding may be written so that one reads it and another does not: lines of the head.
#: None of them is a good `chunked`, but for those in `_GOOD`.
_CODINGS = {
    "plain": ["Transfer-Encoding: chunked"],
    "mixed-case": ["tRaNsFeR-eNcOdInG: cHuNkEd"],
    "tab-before-value": ["Transfer-Encoding:\tchunked\t"],
    "space-before-colon": ["Transfer-Encoding : chunked"],
    "tab-before-colon": ["Transfer-Encoding\t: chunked"],
    "xchunked": ["Transfer-Encoding: xchunked"],
    "chunkedx": ["Transfer-Encoding: chunkedx"],
    "vertical-tab": ["Transfer-Encoding:\x0bchunked"],
    "vertical-tab-at-end": ["Transfer-Encoding: chunked\x0b"],
    "form-feed": ["Transfer-Encoding:\x0cchunked"],
    "nul-at-end": ["Transfer-Encoding: chunked\0"],
    "no-break-space": ["Transfer-Encoding: chunked\xa0"],
    "chunked-identity-CVE-2024-6827": ["Transfer-Encoding: chunked, identity"],
    "identity-chunked": ["Transfer-Encoding: identity, chunked"],
    "identity": ["Transfer-Encoding: identity"],
    "chunked-gzip": ["Transfer-Encoding: chunked, gzip"],
    "gzip-chunked": ["Transfer-Encoding: gzip, chunked"],
    "chunked-chunked": ["Transfer-Encoding: chunked, chunked"],
    "comma-before": ["Transfer-Encoding: ,chunked"],
    "two-fields-CVE-2024-1135": ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
    "two-fields-reversed": ["Transfer-Encoding: identity", "Transfer-Encoding: chunked"],
    "two-fields-unknown": ["Transfer-Encoding: chunked", "Transfer-Encoding: cow"],
    "two-fields-empty": ["Transfer-Encoding:", "Transfer-Encoding: chunked"],
    "quoted": ['Transfer-Encoding: "chunked"'],
    "parameter": ["Transfer-Encoding: chunked;q=1"],
    "folded": ["Transfer-Encoding:", " chunked"],
    "folded-after-other": ["X-Other: a", " Transfer-Encoding: chunked"],
    "after-bare-lf": ["X-Other: a\nTransfer-Encoding: chunked"],
    "after-bare-cr": ["X-Other: a\rTransfer-Encoding: chunked"],
    "underscore": ["Transfer_Encoding: chunked"],
    "hop-by-hop": ["Connection: keep-alive, Transfer-Encoding", "Transfer-Encoding: chunked"],
}
#: Good ones: alone, they make the body chunked.
_GOOD = {"plain", "mixed-case", "tab-before-value", "hop-by-hop"}
#: Those that are no Transfer-Encoding at all: the field is passed over.
_OTHER_FIELD = {"underscore"}


def _behind_last_chunk(hidden):
    """The hidden request behind a body of no chunks."""
    return b"0\r\n\r\n" + hidden


def _chunk(hidden):
    """The hidden request as a chunk, and the last chunk."""
    return f"{len(hidden):x}".encode() + b"\r\n" + hidden + b"\r\n0\r\n\r\n"


def _chunk_by_length(name, lines, direct):
    """Chunked for one reader; for the other Content-Length ends before the hidden request."""

    def parts(hidden):
        body = _chunk(hidden)
        return [head(*lines, f"Content-Length: {body.index(hidden)}") + body]

    return Attack(name, parts, direct)


def _of_codings():
    for name, lines in _CODINGS.items():
        with_length = BODY if name in _OTHER_FIELD else REFUSED
        alone = PIPELINED if name in _GOOD | _OTHER_FIELD else REFUSED
        yield row(f"CL.TE-{name}", with_length, *lines, "Content-Length: {n}", body=_behind_last_chunk)
        yield _chunk_by_length(f"TE.CL-{name}", lines, PIPELINED if name in _OTHER_FIELD else REFUSED)
        yield row(f"TE.0-{name}", alone, *lines, body=_behind_last_chunk)
        # For him who does not see the coding, the hidden request follows a head without a body.
        yield row(f"0.TE-{name}", BODY if name in _GOOD else alone, *lines, body=_chunk)


#: How Content-Length may be written; `{n}` is the length with the hidden request.
_LENGTHS = [
    ("good", BODY, "Content-Length: {n}"),
    ("twice-the-same", REFUSED, "Content-Length: {n}", "Content-Length: {n}"),
    ("zero-then-length", REFUSED, "Content-Length: 0", "Content-Length: {n}"),
    ("length-then-zero", REFUSED, "Content-Length: {n}", "Content-Length: 0"),
    ("list-the-same", REFUSED, "Content-Length: {n}, {n}"),
    ("list-zero-first", REFUSED, "Content-Length: 0, {n}"),
    ("list-zero-last", REFUSED, "Content-Length: {n}, 0"),
    ("list-empty-end", REFUSED, "Content-Length: {n},"),
    ("plus", REFUSED, "Content-Length: +{n}"),
    ("minus", REFUSED, "Content-Length: -{n}"),
    ("leading-zeros", BODY, "Content-Length: 0000{n}"),
    ("many-leading-zeros", BODY, "Content-Length: 00000000000000000000000000{n}"),
    ("hexadecimal", REFUSED, "Content-Length: 0x{n}"),
    ("exponent", REFUSED, "Content-Length: {n}e0"),
    ("decimal-point", REFUSED, "Content-Length: {n}.0"),
    ("digit-separator", REFUSED, "Content-Length: 0_{n}"),
    ("word-after", REFUSED, "Content-Length: {n} bytes"),
    ("two-words", REFUSED, "Content-Length: 0 {n}"),
    ("superscript", REFUSED, f"Content-Length: {_LATIN_SUPERSCRIPT_TWO}"),
    ("vertical-tab", REFUSED, "Content-Length:\x0b{n}"),
    ("nul-at-end", REFUSED, "Content-Length: {n}\0"),
    ("quoted", REFUSED, 'Content-Length: "{n}"'),
    ("empty", REFUSED, "Content-Length:"),
    ("empty-then-length", REFUSED, "Content-Length:", "Content-Length: {n}"),
    ("beyond-64-bits", REFUSED, "Content-Length: 18446744073709551616"),
    ("beyond-32-bits", REFUSED, "Content-Length: 4294967296"),
    ("space-before-colon", REFUSED, "Content-Length : {n}"),
    ("folded", REFUSED, "Content-Length:", " {n}"),
    ("after-bare-lf", REFUSED, "X-Other: a\nContent-Length: {n}"),
    ("after-bare-cr", REFUSED, "X-Other: a\rContent-Length: {n}"),
    ("underscore", PIPELINED, "Content_Length: {n}"),
    ("underscore-against-good", PIPELINED, "Content-Length: 0", "Content_Length: {n}"),
    ("hop-by-hop", BODY, "Connection: keep-alive, Content-Length", "Content-Length: {n}"),
]

#: Methods of which some believe that they have no body.
_METHODS = ("GET", "HEAD", "OPTIONS", "DELETE", "TRACE")


def _of_methods():
    for method in _METHODS:
        line = f"{method} /attacker HTTP/1.1"
        yield row(f"CL.0-{method}", BODY, "Content-Length: {n}", line=line)
        yield row(f"TE.0-{method}", BODY, "Transfer-Encoding: chunked", line=line, body=_chunk)
        yield row(f"TE.TE-{method}", PIPELINED, "Transfer-Encoding: chunked", line=line, body=_behind_last_chunk)


def _of_versions():
    kept = "Connection: keep-alive"
    for version in ("1.0", "1.2", "0.9", "2.0"):
        line = f"POST /attacker HTTP/{version}"
        coding = "Transfer-Encoding: chunked"
        yield row(f"HTTP-{version}-TE", REFUSED, kept, coding, line=line, body=_behind_last_chunk)
        both = (coding, "Content-Length: {n}")
        yield row(f"HTTP-{version}-CL.TE", REFUSED, kept, *both, line=line, body=_behind_last_chunk)


ROWS = [
    *_of_codings(),
    *(row(f"CL-{name}", direct, *fields) for name, direct, *fields in _LENGTHS),
    *_of_methods(),
    *_of_versions(),
]
