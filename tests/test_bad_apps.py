"""Applications that do wrong within a request, with one thread and with several: the client gets a 500 or a reply that
is visibly cut off, the log says which request it was and what is wrong with it, and nobody else notices."""

import itertools
import re

import pytest

from harness import Truncated, wait_until
from harness.bystanders import Bystanders

pytestmark = pytest.mark.tapster

#: What the log says of each exception.
RAISED = {
    "SystemExit": "SystemExit: 3",
    "SystemExitText": "SystemExit: a text for the console",
    "KeyboardInterrupt": "KeyboardInterrupt",
    "GeneratorExit": "GeneratorExit",
    "StopAsyncIteration": "StopAsyncIteration",
    "Own": r"bad\.Own: mine",
    "Unprintable": r"bad\.Unprintable: <(unprintable|exception str\(\) failed)",
    "ExitsInText": r"bad\.ExitsInText: <(unprintable|exception str\(\) failed)",
    "RecursionError": "RecursionError: maximum recursion depth exceeded",
    "MemoryError": "MemoryError",
    "Group": "ValueError: within|SystemExit: no group",
    "Circle": "ValueError: circle",
    "Huge": "huge huge huge",
    "BrokenPipe": "BrokenPipeError: a pipe of my own",
    "StopIteration": "StopIteration: odd",
}
#: What an application may return, with what comes of it (a status, the body of a 200, or that of a reply that is cut
#: off) and what the log says.
CUT = b"part"
MUST_RETURN, MUST_CONSIST = "the application must return an iterable of bytes, not", "body must consist of bytes, not"
RETURNED = {
    "None": (500, f"{MUST_RETURN} NoneType"),
    "int": (500, f"{MUST_RETURN} int"),
    "str": (500, f"{MUST_CONSIST} str"),
    "dict": (500, f"{MUST_CONSIST} str"),
    "bytes": (500, f"{MUST_CONSIST} int"),
    "object": (500, f"{MUST_RETURN} object"),
    "function": (500, f"{MUST_RETURN} function"),
    "coroutine": (500, f"{MUST_RETURN} coroutine"),
    "class": (500, f"{MUST_RETURN} type"),
    "yields-str": (500, f"{MUST_CONSIST} str"),
    "yields-None": (500, f"{MUST_CONSIST} NoneType"),
    "yields-int": (500, f"{MUST_CONSIST} int"),
    "yields-bytearray": (500, f"{MUST_CONSIST} bytearray"),
    "yields-memoryview": (500, f"{MUST_CONSIST} memoryview"),
    "yields-str-later": (CUT, f"{MUST_CONSIST} str"),
    "iter-raises": (500, "RuntimeError: no iterator"),
    "iter-type-error": (500, "TypeError: no iterator"),
    "iter-exits": (500, "SystemExit"),
    "no-iterator": (500, f"{MUST_RETURN} Iterable|TypeError: iter"),
    "no-next": (500, "TypeError: 'NoneType' object is not callable"),
    "beyond-the-end": (b"part", None),
    "lying-list": (b"partpart", None),
    "lying-bytes": (b"partpart", None),
    "close-is-none": (b"partpart", "TypeError: 'NoneType' object is not callable"),
    "close-wants-more": (b"partpart", "TypeError: .*missing 1 required positional argument: 'wanted'"),
    "close-is-missing": (b"partpart", "RuntimeError: no close here"),
    "clinging": (b"partpartmore", None),
    "running": (CUT, "ValueError: generator already executing"),
    "mutating": (b"partpartpart", None),
}
IN_CLOSE = r"Error in close\(\) after request GET"
CUT_OFF = ("yields-str-later", "running")
#: Calls of start_response that PEP 3333 forbids, with what it raises.
STARTED = {
    "status-int": "TypeError: the status must be a str, not int",
    "status-bytes": "TypeError: the status must be a str, not bytes",
    "status-none": "TypeError: the status must be a str, not NoneType",
    "status-short": "ValueError: the status '200': .*three digits, a space and a reason",
    "status-wide": "ValueError: the status has a character that latin-1 does not have",
    "headers-none": "TypeError: .*the response headers must be a list of .*, not NoneType",
    "headers-tuple": "TypeError: .*the response headers must be a list of .*, not tuple",
    "headers-dict": "TypeError: .*the response headers must be a list of .*, not dict",
    "header-list": r"TypeError: each response header must be a \(name, value\) tuple, not list",
    "header-three": r"TypeError: each response header must be a \(name, value\) tuple, not .*(3|three)",
    "name-bytes": "TypeError: a response header's name must be a str, not bytes",
    "value-int": "TypeError: .*'X-A' must be a str, not int",
    "value-none": "TypeError: .*'X-A' must be a str, not NoneType",
    "value-bytes": "TypeError: .*'X-A' must be a str, not bytes",
    "value-wide": "ValueError: .*'X-A' has a character that latin-1 does not have",
    "length-text": "ValueError: .*Content-Length must be a decimal number",
    "one-argument": r"TypeError: start_response\(\) needs a status and response headers",
    "four-arguments": r"TypeError: start_response\(\) takes 2 or 3 arguments, not 4",
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(number, marks=pytest.mark.xdist_group(f"bad-apps-{number}")) for number in (1, 4)],
    ids=lambda number: f"{number}-threads",
)
def threads(request):
    """How many the server has."""
    return request.param


@pytest.fixture(scope="module")
def server(threads, serve_module):
    """One worker with the application that does wrong, shared by the tests of one number of threads."""
    return serve_module("bad:application", "--threads", str(threads), "--keep-alive", "60", "--timeout", "60")


@pytest.fixture
def bystanders(server, threads, tmp_path):
    """Clients who must not notice, and in the end have not."""
    with Bystanders(server, threads, tmp_path) as found:
        yield found
        found.expect_unharmed()


def expect(server, path, outcome, method="GET"):
    """Asks, and looks whether that comes of it: a status, or a body, which is a whole one or not."""
    with server.wire() as wire:
        try:
            reply = wire.exchange(path, method=method)
        except Truncated as truncated:
            assert truncated.reply is not None, "nothing was answered"
            assert ("cut", truncated.reply.body) == outcome
        else:
            assert outcome in (reply.status, reply.body), (outcome, reply)
            return reply


def wait_told(server, mark, what, where="Error handling request GET"):
    """Waits until the log tells of a request what was wrong with it, in the entry that names it."""
    entry = re.compile(rf"{where} {re.escape(mark)}(?::.*)?\n(?:(?!\[20\d\d-).*\n)*")

    def tells():
        return any(re.search(what, found[0]) for found in entry.finditer(server.log()))

    wait_until(tells, 10, lambda: f"{what!r} of {mark!r} in the log:\n{server.tail()}")


PLACES = {"call": 500, "first": 500, "later": ("cut", b"block"), "close": b"blockblock"}
#: From an iterator this is its end.
NO_MISTAKES = (("first", "StopIteration"), ("later", "StopIteration"))


@pytest.mark.parametrize(
    ("where", "what"),
    [each for each in itertools.product(PLACES, RAISED) if each not in NO_MISTAKES],
)
def test_whatever_is_raised_is_told_and_costs_nobody_else_anything(server, bystanders, where, what):
    path = f"/raises?{where},{what}"
    expect(server, path, PLACES[where])
    wait_told(server, path, RAISED[what], *([IN_CLOSE] if where == "close" else []))


@pytest.mark.parametrize("what", RETURNED)
def test_whatever_is_returned_is_a_reply_or_told_to_be_none(server, bystanders, what):
    outcome, told = RETURNED[what]
    expect(server, f"/returns?{what}", ("cut", outcome) if what in CUT_OFF else outcome)
    if told is None:
        assert f"/returns?{what}" not in server.log()
    else:
        wait_told(server, f"/returns?{what}", told, *([IN_CLOSE] if what.startswith("close-") else []))


@pytest.mark.parametrize("what", STARTED)
def test_start_response_tells_what_is_wrong_with_its_arguments(server, bystanders, what):
    expect(server, f"/starts?{what}", 500)
    wait_told(server, f"/starts?{what}", STARTED[what])


def test_text_that_fails_where_it_is_looked_at_is_text_all_the_same(server, bystanders):
    assert expect(server, "/starts-odd-text", b"accepted").header("x-odd") == "yes"


def test_a_generator_that_will_not_be_closed_is_told(server, bystanders):
    with server.wire() as wire:
        # Nobody wants its second block.
        assert wire.exchange("/returns?clinging&head", method="HEAD").status == 200
    ignored = "RuntimeError: generator ignored GeneratorExit"
    wait_told(server, "/returns?clinging&head", ignored, r"Error in close\(\) after request HEAD")


def test_an_exception_that_only_the_server_may_raise_ends_its_request_only(server, bystanders):
    for where, status in (("call", 504), ("first", 504)):
        expect(server, f"/raises?{where},Timeout", status)
    expect(server, "/raises?later,Timeout", ("cut", b"block"))
    expect(server, "/raises?close,Timeout", b"blockblock")
    server.wait_log(r"GET /raises\?close,Timeout")


@pytest.mark.parametrize("size", [60_000, 5_000_000])
def test_a_huge_header_is_the_applications_own_business(server, bystanders, size):
    assert len(expect(server, f"/header?{size}", b"said").header("x-huge")) == size


def test_so_are_many_headers(server, bystanders):
    assert len(expect(server, "/headers?20000", b"said").headers) > 20_000
