"""Chunked bodies: sizes, extensions, ends, trailers (RFC 9112 section 7.1)."""

from ..rows import HANGS, HELLO, instead, post, replies, reply, request, row, served

CHUNKS = "RFC 9112 §7.1"
EXTENSIONS = "RFC 9112 §7.1.1"
TRAILERS = "RFC 9112 §7.1.2"
FORBIDDEN = "RFC 9110 §6.5.1"
END = "0\r\n\r\n"

OVERFLOW = instead(HANGS, "What fits no machine word is read differently by different servers.")
MORE_FORBIDDEN = instead(
    served("abc"),
    "It describes the request, so that it belongs in the head; who sends it here hopes that somebody merges it.",
)


def chunked(body):
    """A request with these chunks, whose body is echoed."""
    return post("Transfer-Encoding: chunked", body=body)


def one(size):
    """A body of one chunk of three bytes, whose size is written so."""
    return chunked(f"{size}\r\nabc\r\n" + END)


def extended(extension):
    """A chunk with an extension, semicolon included."""
    return one("3" + extension)


def trailed(*lines):
    """A body with trailers."""
    return chunked("3\r\nabc\r\n0\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n")


SIZES = (
    row("chunks are joined", CHUNKS, chunked("3\r\nabc\r\n2\r\nde\r\n" + END), served("abcde")),
    row("a body may have no chunk but the last", CHUNKS, chunked(END), served("")),
    row("a size may be in lower case", CHUNKS, chunked("a\r\n0123456789\r\n" + END), served("0123456789")),
    row("a size may be in upper case", CHUNKS, chunked("A\r\n0123456789\r\n" + END), served("0123456789")),
    row("a size may have zeros in front", CHUNKS, one("0000000000000003"), served("abc")),
    row("the last size may have many zeros", CHUNKS, chunked("3\r\nabc\r\n0000\r\n\r\n"), served("abc")),
    row("data may hold line ends", CHUNKS, chunked("4\r\n\r\n\r\n\r\n" + END), served("\r\n\r\n")),
    row("data may look like a last chunk", CHUNKS, chunked("5\r\n" + END + "\r\n" + END), served(END)),
    row(
        "bytes behind a chunked body are the next request",
        CHUNKS,
        one("3") + request(),
        replies(reply(200, "abc"), HELLO),
    ),
    row("a size with 0x is refused", CHUNKS, one("0x3"), 400),
    row("a size with a plus is refused", CHUNKS, one("+3"), 400),
    row("a negative size is refused", CHUNKS, one("-3"), 400),
    row("a size with a space in front is refused", CHUNKS, one(" 3"), 400),
    row("a size with a space behind is refused", CHUNKS, one("3 "), 400),
    row("a size with a tab behind is refused", CHUNKS, one("3\t"), 400),
    row("a size with an underscore is refused", CHUNKS, one("0_3"), 400),
    row("a size that is no number is refused", CHUNKS, one("zz"), 400),
    row("a size in quotes is refused", CHUNKS, one('"3"'), 400),
    row("a size with an h is refused", CHUNKS, one("3h"), 400),
    row("a size with a point is refused", CHUNKS, one("3.0"), 400),
    row("an empty size is refused", CHUNKS, one(""), 400),
    row("an extension without a size is refused", CHUNKS, one(";a"), 400),
    row("a NUL in a size is refused", CHUNKS, one("3\0"), 400),
    row("a size of 2^64 is refused", CHUNKS, chunked("10000000000000000\r\n"), 400, gunicorn=OVERFLOW),
    row("a size of a hundred digits is refused", CHUNKS, chunked("f" * 100 + "\r\n"), 400, gunicorn=OVERFLOW),
    row(
        "sizes that overflow in sum are refused",
        CHUNKS,
        chunked("1\r\na\r\nffffffffffffffff\r\n"),
        400,
        gunicorn=OVERFLOW,
    ),
    row(
        "a size that wraps around is refused",
        CHUNKS,
        chunked("10000000000000003\r\nabc\r\n" + END),
        400,
        gunicorn=OVERFLOW,
    ),
    row(
        "a size of more than 16 digits is refused, though they be zeros",
        CHUNKS,
        one("0" * 16 + "3"),
        400,
        gunicorn=instead(served("abc"), "A reader with 64 bits and without care sees another number."),
    ),
    row("a bare LF behind a size is refused", CHUNKS, chunked("3\nabc\r\n" + END), 400),
    row("a bare CR behind a size is refused", CHUNKS, chunked("3\rabc\r\n" + END), 400),
    row("two CRs behind a size are refused", CHUNKS, chunked("3\r\r\nabc\r\n" + END), 400),
    row("a bare LF behind the last size is refused", CHUNKS, chunked("3\r\nabc\r\n0\n\r\n"), 400),
)

ENDS = (
    row("data longer than its size is refused", CHUNKS, chunked("3\r\nabcdef\r\n" + END), 400),
    row("data shorter than its size is refused", CHUNKS, chunked("4\r\nabc\r\n" + END), 400),
    row("data without a line end is refused", CHUNKS, chunked("3\r\nabc" + END), 400),
    row("data with a bare LF behind is refused", CHUNKS, chunked("3\r\nabc\n" + END), 400),
    row("data with a bare CR behind is refused", CHUNKS, chunked("3\r\nabc\r" + END), 400),
    row("data with two line ends behind is refused", CHUNKS, chunked("3\r\nabc\r\n\r\n" + END), 400),
    row("a bare LF as the body's end is refused", CHUNKS, chunked("3\r\nabc\r\n0\r\n\n"), 400),
)

EXTENDED = (
    row("an extension's name is ignored", EXTENSIONS, extended(";a"), served("abc")),
    row("an extension's value is ignored", EXTENSIONS, extended(";a=b"), served("abc")),
    row("a quoted value is ignored", EXTENSIONS, extended(';a="b c;\\"d"'), served("abc")),
    row("several extensions are ignored", EXTENSIONS, extended(';a;b=c;d="e"'), served("abc")),
    row("spaces around semicolons and equals signs are allowed", EXTENSIONS, extended(" ; a = b\t;\tc"), served("abc")),
    row("the last chunk may have an extension", EXTENSIONS, chunked("3\r\nabc\r\n0;a=b\r\n\r\n"), served("abc")),
    row("bytes above ASCII in a quoted value are ignored", EXTENSIONS, extended(';a="\xe9"'), served("abc")),
    row("a semicolon without an extension is refused", EXTENSIONS, extended(";"), 400),
    row("two semicolons are refused", EXTENSIONS, extended(";;a"), 400),
    row("an extension without a name is refused", EXTENSIONS, extended(";=b"), 400),
    row("an equals sign without a value is refused", EXTENSIONS, extended(";a="), 400),
    row("an unfinished quote is refused", EXTENSIONS, extended(';a="b'), 400),
    row("bytes behind a quote are refused", EXTENSIONS, extended(';a="b"c'), 400),
    row("two words in an extension are refused", EXTENSIONS, extended(";a b"), 400),
    row("a space at an extension's end is refused", EXTENSIONS, extended(";a "), 400),
    row("a bare LF in an extension is refused", EXTENSIONS, extended(";a\n"), 400),
    row("a bare LF in a quoted value is refused", EXTENSIONS, extended(';a="\n"'), 400),
    row("a bare CR in an extension is refused", EXTENSIONS, extended(";a\rb"), 400),
    row("a NUL in an extension is refused", EXTENSIONS, extended(";a\0"), 400),
    row("bytes above ASCII outside of quotes are refused", EXTENSIONS, extended(";a=\xe9"), 400),
    row("an extension of 256 bytes is allowed", EXTENSIONS, extended(";" + "a" * 255), served("abc")),
    row(
        "an extension of more than 256 bytes is refused",
        EXTENSIONS,
        extended(";" + "a" * 256),
        400,
        gunicorn=instead(served("abc"), "Nobody needs them that long."),
    ),
    row(
        "an extension without an end is refused at its limit",
        EXTENSIONS,
        chunked("3;" + "a" * 300),
        400,
        gunicorn=instead(HANGS, "gunicorn's limit is that of a field."),
    ),
    row(
        "extensions that outweigh the data by far are refused",
        EXTENSIONS,
        chunked(("1;" + "a" * 200 + "\r\nx\r\n") * 90 + END),
        400,
        gunicorn=instead(served("x" * 90), "Lines that carry next to nothing keep a server busy for nothing."),
    ),
)

TRAILED = (
    row("a trailer is read and discarded", TRAILERS, trailed("X: y"), served("abc")),
    row("several trailers are discarded", TRAILERS, trailed("X: y", "Z:", "X: \t z "), served("abc")),
    row(
        "bytes behind trailers are the next request",
        TRAILERS,
        trailed("X: y") + request(),
        replies(reply(200, "abc"), HELLO),
    ),
    row(
        "a trailer is no field of the next request",
        TRAILERS,
        trailed("X: y") + request(target="/environ"),
        replies(reply(200, "abc"), reply(200, HTTP_X=None)),
    ),
    row("a trailer without a colon is refused", TRAILERS, trailed("X"), 400),
    row("a trailer without a name is refused", TRAILERS, trailed(": y"), 400),
    row("a trailer with a space before its colon is refused", TRAILERS, trailed("X : y"), 400),
    row("a folded trailer is refused", TRAILERS, trailed("X: y", " z"), 400),
    row("whitespace before the first trailer is refused", TRAILERS, trailed(" X: y"), 400),
    row("a NUL in a trailer is refused", TRAILERS, trailed("X: \0"), 400),
    row("a control character in a trailer is refused", TRAILERS, trailed("X: \x01"), 400),
    row("a bare LF behind a trailer is refused", TRAILERS, chunked("3\r\nabc\r\n0\r\nX: y\n\r\n"), 400),
    row("a bare CR in a trailer is refused", TRAILERS, trailed("X: a\rb"), 400),
    row("Content-Length as a trailer is refused", FORBIDDEN, trailed("Content-Length: 5"), 400),
    row("Transfer-Encoding as a trailer is refused", FORBIDDEN, trailed("Transfer-Encoding: chunked"), 400),
    row("Host as a trailer is refused", FORBIDDEN, trailed("Host: b"), 400),
    row("a forbidden trailer is refused in any case", FORBIDDEN, trailed("X: y", "hOST: b"), 400),
    row("Authorization as a trailer is refused", FORBIDDEN, trailed("Authorization: a"), 400),
    row("Content-Type as a trailer is refused", FORBIDDEN, trailed("Content-Type: a/b"), 400, gunicorn=MORE_FORBIDDEN),
    row("Cookie as a trailer is refused", FORBIDDEN, trailed("Cookie: a=b"), 400, gunicorn=MORE_FORBIDDEN),
    row("Expect as a trailer is refused", FORBIDDEN, trailed("Expect: 100-continue"), 400, gunicorn=MORE_FORBIDDEN),
    row("TE as a trailer is refused", FORBIDDEN, trailed("TE: trailers"), 400),
    row("32 trailers are allowed", TRAILERS, trailed(*["X: y"] * 32), served("abc")),
    row(
        "more than 32 trailers are refused",
        "RFC 6585 §5",
        trailed(*["X: y"] * 33),
        431,
        gunicorn=instead(
            served("abc"), "Trailers go nowhere in WSGI, so their limits are fixed, and lower than those of fields."
        ),
    ),
    row("trailers of more than 8192 bytes are refused", "RFC 6585 §5", trailed("X: " + "y" * 8192), 431),
    row(
        "a trailer without an end is refused at its limit",
        "RFC 6585 §5",
        trailed("X: " + "y" * 9000)[:-4],
        431,
        gunicorn=instead(HANGS, "gunicorn's limit is that of a whole head."),
    ),
)

ROWS = (*SIZES, *ENDS, *EXTENDED, *TRAILED)
