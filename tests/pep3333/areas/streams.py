"""wsgi.input and wsgi.errors: each method, with each of its arguments."""

from ..rule import Area, Breach, NotAsked, demand, demand_equal

AREA = Area()
rule = AREA.rule

BODY = "first line\nsecond\n\nfourth is without end"
LINES = BODY.splitlines(keepends=True)


def results(ask, calls, body=BODY, method="POST"):
    """What calls to wsgi.input returned."""
    length = [f"Content-Length: {len(body)}"] if body else []
    with ask.wire() as wire:
        wire.send(ask.head("calls", f"X-Calls: {calls}", *length, method=method) + body)
        try:
            return ask.seen(wire.reply())
        except TimeoutError:
            raise Breach(f"{calls.replace(';', ', ')} never returns") from None


def returns(ask, calls, expected, **more):
    """Demands what each of some calls returns."""
    for call, found, each in zip(calls.split(";"), results(ask, calls, **more), expected, strict=True):
        if isinstance(found, dict) and "raised" in found:
            raise Breach(f"{call} raises {found['raised']}")
        demand_equal(found, each, call)


@rule("stream-methods", "read(n) returns the next n bytes, or what is left of them")
def read(ask):
    returns(ask, "read(5);read(6);read(100)", [BODY[:5], BODY[5:11], BODY[11:]])


@rule("stream-methods", "readline() returns one line with its end, the last without one")
def readline(ask):
    returns(ask, "readline();readline();readline();readline()", LINES)


@rule("stream-methods", "readlines() returns all lines with their ends")
def readlines(ask):
    returns(ask, "readlines()", [LINES])


@rule("stream-methods", "iterating gives each line with its end")
def iterate(ask):
    returns(ask, "lines", [LINES])


@rule("stream-methods-again", "wsgi.errors has write(), writelines() and flush(), and none raises")
def errors(ask):
    ask.get("errors")
    for name in ("write", "writelines", "flush", "flush-again"):
        demand_equal(ask.facts(name), ["nothing"], f"what {name}() raises")


@rule("stream-semantics", "read(0) reads nothing, read(-1) reads to the end")
def read_special(ask):
    returns(ask, "read(0);read(5);read(-1)", ["", BODY[:5], BODY[5:]])


@rule("stream-semantics", "the methods go on where another one stopped")
def mixed(ask):
    for calls in ("readline();read()", "readline();read(3);readline();readlines()", "read(3);lines;read()"):
        found = results(ask, calls)
        together = "".join("".join(each) if isinstance(each, list) else str(each) for each in found)
        lost = len(BODY.replace("\n", "")) - len(together.replace("\n", ""))
        demand(lost == 0, f"{calls.replace(';', ', ')}: {lost} bytes are lost")


@rule("stream-semantics", "a line may be longer than any buffer")
def long_line(ask):
    [line] = results(ask, "readline()", body="x" * 200_000 + "\ny")
    # Whether its end is there is another rule's question, here and below.
    demand_equal(len(line.rstrip("\n")), 200_000, "its length")


@rule("stream-semantics", "read(n) waits for n bytes where the body comes slowly")
def slow(ask):
    with ask.wire() as wire:
        wire.send(ask.head("calls", "X-Calls: read(10);read(1)", "Content-Length: 11", method="POST") + "01234")
        wire.expect_nothing("it returns before they are here")
        wire.send("567890")
        demand_equal(ask.seen(wire.reply()), ["0123456789", "0"], "what comes")


@rule("stream-semantics", "a line that comes slowly is read to its end")
def slow_line(ask):
    with ask.wire() as wire:
        wire.send(ask.head("calls", "X-Calls: readline();readline()", "Content-Length: 12", method="POST") + "one and ")
        wire.expect_nothing("it returns before the line is here")
        wire.send("two\n")
        first, second = ask.seen(wire.reply())
        demand_equal((first.rstrip("\n"), second), ("one and two", ""), "what comes")


@rule("stream-semantics", "a megabyte can be read in pieces to its end")
def pieces(ask):
    seen = ask.seen(ask.post("echo-by-pieces", b"\1" * 1_000_000))
    demand_equal((sum(seen["lengths"]), seen["sum"]), (1_000_000, 1_000_000), "what was read")


PAST_THE_END = (("read(100)", ["hello"]), ("readline();readline()", ["hello", ""]), ("lines", [["hello"]]))


@rule("end-of-input", "what reads past the end gets what there is, and does not wait")
def end(ask):
    for calls, expected in PAST_THE_END:
        demand_equal(results(ask, calls, body="hello"), expected, calls)


@rule("end-of-input", "what reads past the end gets nothing of the next request, which may be here already")
def end_before_next(ask):
    for calls, expected in PAST_THE_END:
        with ask.wire() as wire:
            first = ask.head("calls", f"X-Calls: {calls}", "Content-Length: 5", method="POST") + "hello"
            reply = wire.send(first + ask.head("hello")).reply()
        if reply.body == b"hello":
            raise NotAsked("of two requests that come at once it answers the second alone")
        demand_equal(ask.seen(reply), expected, calls)


@rule("end-of-input", "a body that is not read is not taken for the next request")
def unread(ask):
    body = "GET /count HTTP/1.1\r\nHost: a\r\n\r\n"
    with ask.wire() as wire:
        head = ask.head("unread", f"Content-Length: {len(body)}", method="POST")
        wire.send(head + body)
        demand_equal(wire.reply().body, b"unread", "the answer")
        try:
            wire.send(ask.head("hello", "Connection: close"))
            rest = wire.all()
        except OSError:
            return
    demand(not rest or rest.endswith(b"hello"), f"the next answer is {rest[:60]!r}")


@rule("read-all", "read() without an argument returns all that is left")
def read_all(ask):
    returns(ask, "read()", [BODY])
    returns(ask, "read(3);read()", [BODY[:3], BODY[3:]])


@rule("exhausted-is-empty", "each method returns nothing at the end of the body, and does not wait")
def exhausted(ask):
    _nothing(results(ask, "read();read();read(1);readline();readlines();lines")[1:])


@rule("exhausted-is-empty", "each method returns nothing where there is no body, and does not wait")
def empty(ask):
    _nothing(results(ask, "read();read(1);readline();readlines();lines", body="", method="GET"))


def _nothing(found):
    for each in found:
        # An empty bytestring in a list is one that is returned, too.
        demand(each in ("", [], [""]), f"there is {each!r}")


@rule("readline-size", "readline(n) returns n bytes at the most, and not more than the line")
def readline_size(ask):
    returns(ask, "readline(3);readline(100);readline(6);readline(6)", ["fir", "st line\n", "second", "\n"])


@rule("readlines-hint", "readlines(n) returns whole lines, and the rest comes later")
def readlines_hint(ask):
    first, rest = results(ask, "readlines(12);readlines()")
    demand(isinstance(first, list), f"readlines(12) gives {first}")
    demand_equal("".join(first + rest).replace("\n", ""), BODY.replace("\n", ""), "both together")
    demand(first, "readlines(12) returns nothing")


@rule("errors-text", "what is written to wsgi.errors is in the server's log, line by line")
def logged(ask):
    ask.get("errors")
    for line in (f"written {ask.mark}\n", f"line one {ask.mark}\n", f"line two {ask.mark}\n"):
        ask.wait_log(line, f"{line.split()[0]!r} is not in its log as a line")


@rule("errors-unicode", "any Unicode text can be written to wsgi.errors")
def unicode(ask):
    ask.get("errors")
    demand_equal(ask.facts("unicode"), ["nothing"], "what it raises")
