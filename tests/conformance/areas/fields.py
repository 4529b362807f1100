"""Field lines: names, values, folding, repeated fields, underscores, and their limits (RFC 9112 section 5)."""

from ..rows import HANGS, environ, instead, octets, row, served

LINES = "RFC 9112 §5"
NAMES = "RFC 9110 §5.1"
VALUES = "RFC 9110 §5.5"
REPEATED = "RFC 9110 §5.3"
UNDERSCORES = "header_map"
LIMIT = "RFC 6585 §5"


def first(line):
    """A request whose first field is this line, Host coming second."""
    return octets(f"GET /environ HTTP/1.1\r\n{line}\r\nHost: a\r\n\r\n")


SHAPES = (
    row("a value is trimmed of spaces and tabs", LINES, environ("X: \t y \t "), served(HTTP_X="y")),
    row("a value needs no space before it", LINES, environ("X:y"), served(HTTP_X="y")),
    row("a value may be empty", LINES, environ("X:"), served(HTTP_X="")),
    row("a value of spaces is empty", LINES, environ("X:  \t "), served(HTTP_X="")),
    row("spaces and tabs within a value stay", LINES, environ("X: a  b\tc"), served(HTTP_X="a  b\tc")),
    row("colons in a value stay", LINES, environ("X: a:b: c"), served(HTTP_X="a:b: c")),
    row("a name is found in any case", NAMES, environ("x-LoWeR: y"), served(HTTP_X_LOWER="y")),
    row("a name may be any token", NAMES, environ("X!#$%&'*+.^`|~9: y"), served(**{"HTTP_X!#$%&'*+.^`|~9": "y"})),
    row("a line without a colon is refused", LINES, environ("Nonsense"), 400),
    row("a line without a name is refused", LINES, environ(": y"), 400),
    row("a line of a colon is refused", LINES, environ(":"), 400),
    row("a space before the colon is refused", "RFC 9112 §5.1", environ("X : y"), 400),
    row("a tab before the colon is refused", "RFC 9112 §5.1", environ("X\t: y"), 400),
    row("a space before Host's colon is refused", "RFC 9112 §5.1", octets("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400),
    row(
        "a space before Content-Length's colon is refused",
        "RFC 9112 §5.1",
        environ("Content-Length : 3", body="abc"),
        400,
    ),
    row(
        "a space before Transfer-Encoding's colon is refused",
        "RFC 9112 §5.1",
        environ("Transfer-Encoding : chunked", body="0\r\n\r\n"),
        400,
    ),
    row("a space within a name is refused", NAMES, environ("X y: z"), 400),
    row("a parenthesis in a name is refused", NAMES, environ("X(: y"), 400),
    row("a quote in a name is refused", NAMES, environ('X": y'), 400),
    row("a slash in a name is refused", NAMES, environ("X/Y: z"), 400),
    row("a name is ASCII", NAMES, environ("X\xe9: y"), 400),
    row("a NUL in a name is refused", NAMES, environ("X\0: y"), 400),
    row("a control character in a name is refused", NAMES, environ("X\x01: y"), 400),
    row("a folded line is refused", "RFC 9112 §5.2", environ("X: a\r\n b"), 400),
    row("a line folded with a tab is refused", "RFC 9112 §5.2", environ("X: a\r\n\tb"), 400),
    row("a folded empty line is refused", "RFC 9112 §5.2", environ("X: a\r\n \r\nY: b"), 400),
    row("whitespace before the first field is refused", "RFC 9112 §2.2", first(" X: y"), 400),
    row("a tab before the first field is refused", "RFC 9112 §2.2", first("\tX: y"), 400),
    row("a folded Host is refused", "RFC 9112 §5.2", octets("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"), 400),
    row(
        "a folded Transfer-Encoding is refused",
        "RFC 9112 §5.2",
        environ("Transfer-Encoding:\r\n chunked", body="0\r\n\r\n"),
        400,
    ),
    row("a NUL in a value is refused", VALUES, environ("X: a\0b"), 400),
    row("a control character in a value is refused", VALUES, environ("X: a\x01b"), 400),
    row("a backspace in a value is refused", VALUES, environ("X: a\bb"), 400),
    row("a vertical tab in a value is refused", VALUES, environ("X: a\vb"), 400),
    row("a form feed at a value's end is refused", VALUES, environ("X: a\f"), 400),
    row("an escape character in a value is refused", VALUES, environ("X: \x1b[31m"), 400),
    row("DEL in a value is refused", VALUES, environ("X: a\x7fb"), 400),
    row("bytes above ASCII in a value are latin-1", VALUES, environ("X: caf\xe9"), served(HTTP_X="caf\xe9")),
    row("bytes of UTF-8 in a value are latin-1", "PEP 3333", environ("X: \xc3\xa9"), served(HTTP_X="\xc3\xa9")),
    row("a next-line character in a value is one of latin-1", VALUES, environ("X: a\x85"), served(HTTP_X="a\x85")),
    row("a no-break space around a value stays", VALUES, environ("X: \xa0a\xa0"), served(HTTP_X="\xa0a\xa0")),
)

MEANINGS = (
    row(
        "repeated fields are joined in order",
        REPEATED,
        environ("X: a", "Y: z", "X: b"),
        served(HTTP_X="a,b", HTTP_Y="z"),
    ),
    row("repeated fields are joined in any case", REPEATED, environ("X-A: a", "x-a: b"), served(HTTP_X_A="a,b")),
    row("empty repeated fields are joined too", REPEATED, environ("X: a", "X:", "X: b"), served(HTTP_X="a,,b")),
    row(
        "Cookie fields are joined",
        "RFC 6265 §5.4",
        environ("Cookie: a=1", "Cookie: b=2"),
        served(HTTP_COOKIE="a=1,b=2"),
    ),
    row(
        "Content-Type has its own key",
        "PEP 3333",
        environ("Content-Type: text/plain"),
        served(CONTENT_TYPE="text/plain", HTTP_CONTENT_TYPE=None),
    ),
    row(
        "Content-Length has its own key",
        "PEP 3333",
        environ("Content-Length: 3", body="abc"),
        served(CONTENT_LENGTH="3", HTTP_CONTENT_LENGTH=None),
    ),
    row("two Content-Types are refused", REPEATED, environ("Content-Type: a/b", "Content-Type: c/d"), 400),
    row("two equal Content-Types are refused", REPEATED, environ("Content-Type: a/b", "content-type: a/b"), 400),
    row("Proxy is a field like others", LINES, environ("Proxy: http://evil"), served(HTTP_PROXY="http://evil")),
    row(
        "Authorization reaches the application",
        "PEP 3333",
        environ("Authorization: Basic abc"),
        served(HTTP_AUTHORIZATION="Basic abc"),
    ),
)

HYPHENS = (
    row("a name with an underscore is dropped", UNDERSCORES, environ("X_A: evil"), served(HTTP_X_A=None)),
    row(
        "a name with an underscore is not joined with its twin",
        UNDERSCORES,
        environ("X-A: good", "X_A: evil"),
        served(HTTP_X_A="good"),
    ),
    row("Content_Length is no Content-Length", UNDERSCORES, environ("Content_Length: 5"), served(CONTENT_LENGTH=None)),
    row(
        "Transfer_Encoding is no Transfer-Encoding",
        UNDERSCORES,
        environ("Transfer_Encoding: chunked"),
        served(HTTP_TRANSFER_ENCODING=None),
    ),
    row("header_map = refuse refuses underscores", UNDERSCORES, environ("X_A: evil"), 400, header_map="refuse"),
    row(
        "header_map = refuse takes hyphens",
        UNDERSCORES,
        environ("X-A: good"),
        served(HTTP_X_A="good"),
        header_map="refuse",
    ),
    row(
        "header_map = dangerous takes underscores for hyphens",
        UNDERSCORES,
        environ("X_A: b"),
        served(HTTP_X_A="b"),
        header_map="dangerous",
    ),
    row(
        "header_map = dangerous joins twins",
        UNDERSCORES,
        environ("X-A: a", "X_A: b"),
        served(HTTP_X_A="a,b"),
        header_map="dangerous",
    ),
    row(
        "header_map = dangerous frames nothing by Content_Length",
        UNDERSCORES,
        environ("Content_Length: 5"),
        served(CONTENT_LENGTH=None),
        header_map="dangerous",
    ),
    row(
        "header_map = dangerous frames nothing by Transfer_Encoding",
        UNDERSCORES,
        environ("Transfer_Encoding: chunked"),
        served(),
        header_map="dangerous",
    ),
)

AT_THE_END = instead(HANGS, "A limit that counts only at the head's end lets a client fill memory until then.")


def many(count):
    """A request with so many fields, Host among them."""
    return environ(*["X: y"] * (count - 1))


def long(size):
    """A request with a field line of so many bytes."""
    return environ("X: " + "y" * (size - len("X: ")))


LIMITS = (
    row("there may be as many fields as the limit says", "limit_request_fields", many(100), served()),
    row("one field more is refused", LIMIT, many(101), 431),
    row("fields are counted before the head is complete", LIMIT, many(101)[:-2], 431, gunicorn=AT_THE_END),
    row("a small limit of fields counts", LIMIT, many(6), 431, limit_request_fields=5),
    row("fields within a small limit are taken", "limit_request_fields", many(5), served(), limit_request_fields=5),
    row(
        "dropped fields count as fields",
        LIMIT,
        environ(*["X_Y: z"] * 5),
        431,
        limit_request_fields=5,
        gunicorn=instead(served(), "They cost as much as others."),
    ),
    row("a larger limit of fields counts", "limit_request_fields", many(300), served(), limit_request_fields=300),
    row("a field may be as long as its limit", "limit_request_field_size", long(8190 - 2), served()),
    row("a field over its limit is refused", LIMIT, long(8191), 431),
    row(
        "a field without an end is refused at its limit",
        LIMIT,
        environ("X: " + "y" * 9000)[:-4],
        431,
        gunicorn=AT_THE_END,
    ),
    row("a small limit of a field's size counts", LIMIT, long(65), 431, limit_request_field_size=64),
    row(
        "a field within a small limit is taken",
        "limit_request_field_size",
        long(62),
        served(),
        limit_request_field_size=64,
    ),
    row(
        "the head's size is limited",
        "limit_request_head",
        environ(*["X: " + "y" * 7000] * 10),
        431,
        gunicorn=instead(served(), "Many fields, each within its limit, may still be too much together."),
    ),
    row("a head within its limit is taken", "limit_request_head", environ(*["X: " + "y" * 7000] * 9), served()),
    row(
        "a small limit of the head counts",
        "limit_request_head",
        environ("X: " + "y" * 900, "Y: " + "z" * 900),
        431,
        limit_request_head=1024,
        limit_request_line=256,
    ),
)

ROWS = (*SHAPES, *MEANINGS, *HYPHENS, *LIMITS)
