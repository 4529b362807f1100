"""Text and bytes: of which type, and with which characters."""

from ..rule import Area, NotAsked, demand, demand_equal
from .declaring import WRITES
from .environ import named, seen, value

AREA = Area()
rule = AREA.rule


@rule("native-strings", "a path in UTF-8 becomes one character a byte")
def path(ask):
    found = value(seen(ask, "/environ/caf%C3%A9/%E9/%E2%9C%93"), "PATH_INFO")
    demand_equal(found, "/environ/caf\xc3\xa9/\xe9/\xe2\x9c\x93", "PATH_INFO")


@rule("http-variables", "a field of other bytes than ASCII becomes one character a byte")
def field(ask):
    with ask.wire() as wire:
        wire.send(b"GET /environ HTTP/1.1\r\nHost: a\r\nX-Latin: caf\xe9\r\nX-Utf: \xe2\x9c\x93\r\n\r\n")
        reply = wire.reply()
    if reply.status == 400:
        raise NotAsked("it refuses such a field with 400, as HTTP lets it")
    found = ask.seen(reply)
    demand_equal(value(found, "HTTP_X_LATIN"), "caf\xe9", "a byte of Latin-1")
    demand_equal(value(found, "HTTP_X_UTF"), "\xe2\x9c\x93", "UTF-8")


@rule("latin-1-in", "no variable of CGI's has a character beyond Latin-1")
def all_latin_1(ask):
    found = seen(ask, "/environ/%E2%9C%93?%E2%9C%93", "X-Utf: %E2%9C%93")
    beyond = [key for key, (_, content) in named(found).items() if isinstance(content, str) and not _latin_1(content)]
    demand(not beyond, f"{', '.join(beyond)} has")


def _latin_1(text):
    return all(ord(character) < 256 for character in text)


@rule("native-str", "what is text in the environ is of the type str")
def text(ask):
    found = seen(ask)["keys"]
    for key in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL", "HTTP_HOST", "wsgi.url_scheme"):
        demand_equal(found.get(key, ["str"])[0], "str", f"the type of {key}")


@rule("bytes-in", "each method of wsgi.input returns bytes")
def body(ask):
    with ask.wire() as wire:
        calls = "read(2);readline();readlines(1);read()"
        wire.send(ask.head("calls", f"X-Calls: {calls}", "Content-Length: 12", method="POST") + "a1\nb2\nc3\nd4\n")
        found = ask.seen(wire.reply())
    for call, each in zip(calls.split(";"), found, strict=True):
        lines = each if isinstance(each, list) else [each]
        demand(all(isinstance(line, str) for line in lines), f"{call} gives {each}")


@rule("latin-1-out", "a header's Latin-1 characters are those bytes on the wire")
def out(ask):
    heard = ask.everything("own")
    line = next((each for each in heard.split(b"\r\n") if each.lower().startswith(b"x-latin:")), b"")
    demand_equal(line.partition(b":")[2].strip(), b"caf\xe9", "the value")


@rule("str-or-bytes", "every key of the environ is a str")
def keys(ask):
    odd = seen(ask)["odd keys"]
    demand(not odd, f"not so {', '.join(odd)}")


@rule("misuse-told", "a block that is a str is an error, and nobody takes the reply for whole")
def text_block(ask):
    ask.broken_off("text-blocks")


@rule("misuse-told", "write() raises for a str", needs=(WRITES,))
def text_written(ask):
    ask.everything("writes-text")
    demand(ask.facts("raised") not in ([], ["nothing"]), "it raises nothing")
