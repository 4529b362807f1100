"""How a body is delimited: Content-Length, Transfer-Encoding, both, neither (RFC 9112 section 6)."""

from ..rows import HANGS, HELLO, environ, instead, post, replies, reply, request, row, served

LENGTH = "RFC 9110 §8.6"
FRAMING = "RFC 9112 §6.3"
CODING = "RFC 9112 §6.1"
END = "0\r\n\r\n"
ABC = "3\r\nabc\r\n" + END

STILL_CODED = "The application would get compressed bytes and not be told: the RFC asks for 501."
NO_CODING = instead(501, "An empty name is no unknown coding but a malformed list.")


def length(value, body="abc"):
    """A request with this Content-Length, whose body is echoed."""
    return post(f"Content-Length: {value}", body=body)


def coded(*values, body=ABC, version="HTTP/1.1"):
    """A request with these Transfer-Encoding fields, whose body is echoed."""
    return post(*(f"Transfer-Encoding: {value}" for value in values), body=body, version=version)


LENGTHS = (
    row("Content-Length frames the body", LENGTH, length("3"), served("abc")),
    row("Content-Length 0 is an empty body", LENGTH, length("0", ""), served("")),
    row("leading zeros are digits", LENGTH, length("0003"), served("abc")),
    row("spaces around a length are none of it", LENGTH, post("Content-Length: \t 3 ", body="abc"), served("abc")),
    row(
        "a length's application sees what was sent",
        "PEP 3333",
        environ("Content-Length: 3", body="abc"),
        served(CONTENT_LENGTH="3"),
    ),
    row("a request without a length has no body", FRAMING, post(), served("")),
    row("GET may have a body", "RFC 9110 §9.3.1", post("Content-Length: 3", method="GET", body="abc"), served("abc")),
    row(
        "bytes behind a body are the next request", FRAMING, length("3") + request(), replies(reply(200, "abc"), HELLO)
    ),
    row(
        "bytes behind a request without a body are the next request",
        FRAMING,
        post() + request(),
        replies(reply(200, ""), HELLO),
    ),
    row(
        "a body that looks like a request is a body", FRAMING, length(str(len(request())), request()), served(request())
    ),
    row(
        "a body that nobody reads is not the next request",
        FRAMING,
        request("Content-Length: 31", method="POST", body=request(target="/evil")[:31]) + request(),
        replies(HELLO, HELLO),
    ),
    row("an empty length is refused", LENGTH, length(""), 400),
    row("a length with a plus is refused", LENGTH, length("+3"), 400),
    row("a negative length is refused", LENGTH, length("-1"), 400),
    row("a length with a space within is refused", LENGTH, length("3 3"), 400),
    row("a hexadecimal length is refused", LENGTH, length("0x3"), 400),
    row("a length with hexadecimal digits is refused", LENGTH, length("a"), 400),
    row("a fraction as a length is refused", LENGTH, length("3.0"), 400),
    row("an exponent as a length is refused", LENGTH, length("3e0"), 400),
    row("a length with an underscore is refused", LENGTH, length("3_0"), 400),
    row("a length in quotes is refused", LENGTH, length('"3"'), 400),
    row("a length with a parameter is refused", LENGTH, length("3;a"), 400),
    row("a superscript is no digit", LENGTH, length("\xb3"), 400),
    row("a list of equal lengths is refused", LENGTH, length("3, 3"), 400),
    row("a list of unequal lengths is refused", LENGTH, length("3,4"), 400),
    row("two equal lengths are refused", FRAMING, post("Content-Length: 3", "Content-Length: 3", body="abc"), 400),
    row("two unequal lengths are refused", FRAMING, post("Content-Length: 3", "Content-Length: 4", body="abcd"), 400),
    row(
        "two lengths of which one is empty are refused",
        FRAMING,
        post("Content-Length:", "Content-Length: 3", body="abc"),
        400,
    ),
    row(
        "a length of 2^64 is refused",
        LENGTH,
        length("18446744073709551616", ""),
        400,
        gunicorn=instead(HANGS, "What fits no machine word is read differently by different servers."),
    ),
    row(
        "a length of a hundred digits is refused",
        LENGTH,
        length("9" * 100, ""),
        400,
        gunicorn=instead(HANGS, "What fits no machine word is read differently by different servers."),
    ),
)

CODINGS = (
    row("chunked frames the body", CODING, coded("chunked"), served("abc")),
    row("chunked is found in any case", "RFC 9112 §7", coded("cHuNkEd"), served("abc")),
    row("spaces around a coding are none of it", "RFC 9112 §7", coded("\t chunked "), served("abc")),
    row(
        "the application sees a length for a chunked body, and no coding",
        "PEP 3333",
        environ("Transfer-Encoding: chunked", method="POST", body=ABC),
        served(CONTENT_LENGTH="3", HTTP_TRANSFER_ENCODING=None),
        gunicorn=instead(
            served(CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked"),
            "The body is here when the application is called, so an application that looks for a length finds it.",
        ),
    ),
    row(
        "a length beside chunked is refused",
        FRAMING,
        post("Content-Length: 3", "Transfer-Encoding: chunked", body=ABC),
        400,
    ),
    row(
        "a length behind chunked is refused",
        FRAMING,
        post("Transfer-Encoding: chunked", "Content-Length: 3", body=ABC),
        400,
    ),
    row(
        "a length of 0 beside chunked is refused",
        FRAMING,
        post("Content-Length: 0", "Transfer-Encoding: chunked", body=ABC),
        400,
    ),
    row(
        "a length beside an unknown coding is refused",
        FRAMING,
        post("Content-Length: 3", "Transfer-Encoding: xchunked", body="abc"),
        501,
    ),
    row("chunked in 1.0 is refused", CODING, coded("chunked", version="HTTP/1.0"), 400),
    row("another coding in 1.0 is refused", CODING, coded("gzip", version="HTTP/1.0"), 400),
    row("chunked twice is refused", CODING, coded("chunked, chunked"), 400),
    row("chunked in two fields is refused", CODING, coded("chunked", "chunked"), 400),
    row("chunked before another coding is refused", FRAMING, coded("chunked, gzip"), 400),
    row("chunked before identity is refused", FRAMING, coded("chunked", "identity"), 400),
    row("a coding that is not chunked alone is refused", FRAMING, coded("gzip"), 400),
    row("identity alone is refused", FRAMING, coded("identity"), 400),
    row(
        "a coding before chunked is not supported",
        CODING,
        coded("gzip, chunked"),
        501,
        gunicorn=instead(served("abc", closes=True), STILL_CODED),
    ),
    row(
        "a coding before chunked in a field of its own is not supported",
        CODING,
        coded("gzip", "chunked"),
        501,
        gunicorn=instead(served("abc", closes=True), STILL_CODED),
    ),
    row(
        "identity before chunked is not supported",
        CODING,
        coded("identity, chunked"),
        501,
        gunicorn=instead(
            served("abc"), "RFC 9112 knows no such coding any more; what a proxy in front makes of it can't be known."
        ),
    ),
    row("an unknown coding is not supported", CODING, coded("gibberish"), 501),
    row("an unknown coding before chunked is not supported", CODING, coded("gibberish, chunked"), 501),
    row("xchunked is an unknown coding", CODING, coded("xchunked"), 501),
    row("chunked with a parameter is an unknown coding", "RFC 9112 §7", coded("chunked;q=1"), 501),
    row("chunked in quotes is an unknown coding", "RFC 9112 §7", coded('"chunked"'), 501),
    row("chunked with a vertical tab is refused", "RFC 9110 §5.5", coded("\vchunked"), 400),
    row("an empty coding is refused", CODING, coded(""), 400, gunicorn=NO_CODING),
    row("an empty member before chunked is refused", CODING, coded(",chunked"), 400, gunicorn=NO_CODING),
    row("an empty member behind chunked is refused", CODING, coded("chunked,"), 400, gunicorn=NO_CODING),
    row(
        "GET may be chunked",
        "RFC 9110 §9.3.1",
        post("Transfer-Encoding: chunked", method="GET", body=ABC),
        served("abc"),
    ),
    row("TE is a field like others", "RFC 9110 §10.1.4", environ("TE: trailers"), served(HTTP_TE="trailers")),
)

LIMITS = (
    row(
        "a body within its limit is taken",
        "limit_request_body",
        length("10", "0123456789"),
        served("0123456789"),
        limit_request_body=10,
    ),
    row(
        "a body over its limit is refused before it is sent",
        "limit_request_body",
        length("11", ""),
        413,
        limit_request_body=10,
    ),
    row(
        "a body of 2^64 - 1 bytes is refused before it is sent",
        "limit_request_body",
        length("18446744073709551615", ""),
        413,
        gunicorn=instead(HANGS, "gunicorn has no limit of the body, and waits for what never comes."),
    ),
    row(
        "a chunked body within its limit is taken",
        "limit_request_body",
        coded("chunked", body="a\r\n0123456789\r\n" + END),
        served("0123456789"),
        limit_request_body=10,
    ),
    row(
        "a chunk that leads over the limit is refused at its size",
        "limit_request_body",
        coded("chunked", body="9\r\n012345678\r\n2\r\n"),
        413,
        limit_request_body=10,
    ),
    row(
        "one chunk over the limit is refused at its size",
        "limit_request_body",
        coded("chunked", body="b\r\n"),
        413,
        limit_request_body=10,
    ),
    row(
        "a refusal in the midst of an upload is seen",
        "RFC 9112 §9.6",
        length("200000", "x" * 200000),
        413,
        limit_request_body=10,
    ),
    row(
        "a body that waits for 100 Continue and is too large is refused instead",
        "limit_request_body",
        post("Content-Length: 11", "Expect: 100-continue"),
        413,
        limit_request_body=10,
    ),
)

ROWS = (*LENGTHS, *CODINGS, *LIMITS)
