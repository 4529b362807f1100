"""Refusals as clients and operators see them: pages as they like them, without a word about the server, and a log that
counts strangers' mistakes instead of repeating them."""

import json
import re
import socket

import pytest

from harness import ROOT, wait_until

pytestmark = pytest.mark.tapster
APP = "conformance:application"
POST = "POST /input?echo HTTP/1.1\r\nHost: a\r\n"
#: One request for each status of a refusal, without the empty line that ends its head, and what follows that line.
REFUSED = {
    400: ("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n", ""),
    408: (POST + "Content-Length: 9\r\n", "abc"),
    413: (POST + "Content-Length: 1001\r\n", ""),
    414: ("GET /" + "x" * 5000 + " HTTP/1.1\r\nHost: a\r\n", ""),
    417: ("GET /hello HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n", ""),
    431: ("GET /hello HTTP/1.1\r\nHost: a\r\n" + "X: y\r\n" * 101, ""),
    501: (POST + "Transfer-Encoding: gibberish\r\n", ""),
    505: ("GET /hello HTTP/3.0\r\nHost: a\r\n", ""),
}
OPTIONS = ["--limit-request-body", "1000", "--client-body-timeout", "200ms"]
SUMMARY = r"\[\d+\] \[WARNING\] refused requests in the last minute: (\d+) \((.*?)\)"


@pytest.fixture(scope="module")
def server(serve_module):
    """One worker with small limits, shared by the tests of pages."""
    return serve_module(APP, *OPTIONS)


def ask(server, sent, method="GET"):
    """What comes of these bytes, and then the end."""
    with server.wire() as wire:
        reply = wire.send(sent).reply(method)
        assert reply.header("connection") == "close"
        wire.expect_closed()
        return reply


def refuse(server, status, *fields, method=None):
    """The reply to a request that is refused with this status."""
    head, rest = REFUSED[status]
    if method:
        head = method + " " + head.partition(" ")[2]
    first, _, others = head.partition("\r\n")
    added = "".join(f"{field}\r\n" for field in fields)
    return ask(server, f"{first}\r\n{added}{others}\r\n{rest}", method or "GET")


# Pages.


@pytest.mark.parametrize("status", REFUSED)
def test_a_refusal_is_a_small_plain_page_that_says_what_was_wrong(server, status):
    reply = refuse(server, status)
    assert reply.status == status
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    title, empty, detail, end = reply.text.split("\n")
    assert (title, empty, end) == (f"{status} {reply.reason}", "", "")
    assert re.fullmatch(r"[A-Z].{15,90}\.", detail), detail


@pytest.mark.parametrize("status", [status for status in REFUSED if status != 414])
def test_a_client_that_prefers_json_gets_a_problem_in_json(server, status):
    reply = refuse(server, status, "Accept: application/json")
    assert reply.status == status
    assert reply.header("content-type") == "application/problem+json"
    problem = json.loads(reply.body)
    assert set(problem) == {"status", "title", "detail"}
    assert (problem["status"], problem["title"]) == (status, reply.reason)
    assert problem["detail"] == refuse(server, status).text.split("\n")[2]


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("*/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/json, text/plain, */*", True),
        ("text/plain;q=0.5, application/json;q=0.4", False),
        ("text/plain;q=0.4, application/json; q=0.5", True),
        ("application/vnd.api+json", True),
        ("application/json;q=0", False),
        ('application/json"\\', False),
    ],
)
def test_the_better_liked_kind_of_page_is_sent(server, accept, is_json):
    kind = refuse(server, 400, f"aCCept: {accept}").header("content-type")
    assert kind == ("application/problem+json" if is_json else "text/plain; charset=utf-8")


@pytest.mark.parametrize("status", [400, 413, 417, 431, 501])
@pytest.mark.parametrize("accept", ["text/plain", "application/json"])
def test_a_refused_head_request_gets_no_body(server, status, accept):
    whole = refuse(server, status, f"Accept: {accept}")
    reply = refuse(server, status, f"Accept: {accept}", method="HEAD")
    assert (reply.status, reply.body) == (status, b"")
    assert reply.header("content-length") == str(len(whole.body))


@pytest.mark.parametrize("path", ["/raise-before", "/raise-after", "/injected", "/no-start", "/bad-status"])
@pytest.mark.parametrize("accept", ["text/plain", "application/json"])
def test_an_applications_failure_is_answered_in_the_same_way(server, path, accept):
    with server.wire() as wire:
        reply = wire.exchange(path, f"Accept: {accept}")
    assert reply.status == 500
    if accept == "application/json":
        assert reply.header("content-type") == "application/problem+json"
        assert json.loads(reply.body)["status"] == 500
    else:
        assert reply.text.startswith("500 Internal Server Error\n\n")
    assert "raised" not in reply.text and "Traceback" not in reply.text


def test_no_page_tells_a_version_or_a_path_or_what_the_client_sent(server):
    pages = [refuse(server, status, *fields) for status in REFUSED for fields in ([], ["Accept: application/json"])]
    pages.append(server.get("/raise-before"))
    telling = re.compile(rf"\d+\.\d+\.\d+|{re.escape(str(ROOT))}|/tmp|/usr|\.py|\.rs|ython|gibberish|miracles|xxxx")
    for page in pages:
        assert page.header("server") == "tapster"
        assert not telling.search(f"{page.headers} {page.text}"), page


def test_without_server_header_no_reply_names_the_server(serve):
    server = serve(APP, *OPTIONS, "--no-server-header")
    replies = [refuse(server, status) for status in REFUSED]
    replies += [server.get(path) for path in ("/hello", "/generator", "/raise-before", "/status?204+None")]
    for reply in replies:
        assert reply.header("server") is None, reply
        assert "tapster" not in str(reply.headers).lower() + reply.text.lower()
        assert reply.header("date")
    # What the application says of itself is its own.
    assert server.get("/own-date").header("server") == "mine"


def test_a_pages_fields_are_those_of_any_reply(server):
    reply = refuse(server, 400)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", reply.header("date"))
    names = [name.lower() for name, _ in reply.headers]
    assert sorted(names) == ["connection", "content-length", "content-type", "date", "server"]


# The log.


def lines(server):
    """The log's lines since the workers were ready."""
    return server.log().rpartition("Worker ready")[2].splitlines()[1:]


def flood(server, count):
    """Sends that many bad requests."""
    for _ in range(count):
        with socket.create_connection(server.address, timeout=10) as client:
            client.sendall(b"BAD\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_refusals_write_nothing_until_they_are_summed_up(serve):
    server = serve(APP, *OPTIONS)
    flood(server, 1000)
    for status in (413, 431, 431, 408):
        assert refuse(server, status).status == status
    assert lines(server) == []
    assert server.stop() == 0
    reasons = "request_line 1000, field_count 2, body_size 1, body_timeout 1"
    assert re.findall(SUMMARY, server.log()) == [("1004", reasons)]
    assert len(lines(server)) < 10, lines(server)


def test_a_minute_after_the_first_refusal_they_are_summed_up_and_counted_anew(serve):
    server = serve(APP)
    for _ in range(3):
        with server.wire() as wire:
            assert wire.send("BAD\r\n\r\n").reply().status == 400
    # The only wait of its kind: a minute is not a setting.
    server.wait_log(SUMMARY, deadline=90)
    with server.wire() as wire:
        assert wire.get("/hello", "Expect: miracles").reply().status == 417
    assert server.stop() == 0
    assert re.findall(SUMMARY, server.log()) == [("3", "request_line 3"), ("1", "expectation 1")]


def test_a_server_that_refused_nothing_has_nothing_to_sum_up(serve):
    server = serve(APP)
    assert server.get("/hello").status == 200
    assert server.get("/raise-before").status == 500
    with server.wire() as wire:
        # Neither an application's failure nor one who leaves in the middle is a refusal.
        wire.send("GET /hello HT").finish_sending()
        wire.expect_closed()
    assert server.stop() == 0
    assert "refused" not in server.log()


def test_each_refusal_is_one_line_at_debug_level(serve):
    server = serve(APP, *OPTIONS, "--log-level", "debug")
    with server.wire() as wire:
        port = wire.socket.getsockname()[1]
        assert wire.send("BAD\r\n\r\n").reply().status == 400
    assert refuse(server, 413).status == 413
    found = server.wait_log(rf"\[DEBUG\] .*refused.* 127\.0\.0\.1:{port}: 400 request_line: .*")
    assert found[0].count("\n") == 0
    server.wait_log(r"\[DEBUG\] .*refused.* 413 body_size: ")
    wait_until(lambda: len(re.findall(r"\[DEBUG\] .*refused", server.log())) == 2, what="two lines")
    assert server.stop() == 0
    assert re.search(SUMMARY, server.log())[1] == "2"


def test_what_strangers_send_is_not_written_to_the_log(serve):
    server = serve(APP, "--log-level", "debug")
    assert ask(server, "GET /hello HTTP/1.1\r\nHost: a\r\nX-\x1b[31mEvil: y\r\n\r\n").status == 400
    assert ask(server, "EVIL /EVIL EVIL/1.1\r\nHost: EVIL\r\n\r\n").status == 400
    assert server.stop() == 0
    assert "EVIL" not in server.log().upper()
    assert "\x1b" not in server.log()


def test_each_worker_sums_up_its_own(serve):
    server = serve(APP, workers=2)
    flood(server, 50)
    assert server.stop() == 0
    assert sum(int(total) for total, _ in re.findall(SUMMARY, server.log())) == 50


def test_a_reload_sums_up_what_the_old_workers_refused(serve):
    server = serve(APP)
    flood(server, 3)
    server.reload()
    assert server.wait_log(SUMMARY)[1] == "3"
    flood(server, 2)
    assert server.stop() == 0
    assert server.wait_log(SUMMARY, count=2)[1] == "2"
