"""PEP 3333 from outside, on every CPython found: what an application may do, and what it may rely on."""

import re
import signal

import pytest

from harness import APPS, UNDER_TEST, Truncated, wait_until
from harness.interpreters import on_every_interpreter

tapster = pytest.mark.tapster


@pytest.fixture(scope="module", params=on_every_interpreter("pep3333"))
def server(request, serve_module):
    """One worker with the conformance application, shared by the tests of one CPython."""
    request.param.require()
    return serve_module("conformance:application", "--keep-alive", "30", interpreter=request.param)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("hello", b"hello"),
        ("list", b"abcdef"),
        ("tuple", b"abcdef"),
        ("single", b"only one"),
        ("empty-list", b""),
        ("empty-strings", b"abc"),
        ("all-empty", b""),
        ("iterator", b"abcdef"),
        ("class", b"class GET"),
        ("instance", b"instance"),
        ("method", b"method"),
        ("partial", b"partial"),
        ("write", b"written,twice,returned"),
        ("write-only", b"written"),
    ],
)
def test_every_shape_of_application_and_iterable_is_served_whole(server, path, body):
    with server.wire() as wire:
        reply = wire.exchange(f"/{path}")
        assert (reply.status, reply.body) == (200, body)
        assert reply.header("content-type") == "text/plain"
        wire.expect_open()


def test_a_generator_may_call_start_response_on_its_first_next(server):
    reply = server.get("/generator")
    assert (reply.status, reply.reason) == (418, "I'm a teapot")
    assert reply.header("x-late") == "yes"
    assert reply.body == b"one,two,three"


@tapster
@pytest.mark.parametrize(("path", "length"), [("single", "8"), ("empty-list", "0")])
def test_a_body_of_known_length_gets_a_content_length(server, path, length):
    with server.wire() as wire:
        reply = wire.exchange(f"/{path}")
        assert reply.header("content-length") == length
        wire.expect_open()


@pytest.mark.parametrize("path", ["iterator", "generator", "write", "big?300000"])
def test_a_body_of_unknown_length_is_chunked_over_http_1_1(server, path):
    with server.wire() as wire:
        reply = wire.exchange(f"/{path}")
        assert reply.header("transfer-encoding") == "chunked"
        assert reply.header("content-length") is None
        wire.expect_open()


def test_each_yielded_part_is_sent_before_the_next_is_asked_for(server, tmp_path):
    gate = tmp_path / "gate"
    with server.wire() as wire:
        wire.get(f"/slow-stream?{gate}")
        data = b""
        while b"first" not in data:
            data += wire.socket.recv(4096)
        assert b"second" not in data
        gate.touch()
        while b"second" not in data:
            part = wire.socket.recv(4096)
            assert part and b"late" not in part
            data += part


@tapster  # gunicorn sends the first headers along
def test_exc_info_before_the_first_byte_replaces_status_and_headers(server):
    reply = server.get("/exc-info-before")
    assert (reply.status, reply.reason, reply.body) == (503, "Changed", b"second")
    assert reply.header("x-second") == "yes"
    assert reply.header("x-first") is None


def test_exc_info_after_the_first_byte_raises_and_the_reply_is_cut_off(server):
    with server.wire() as wire:
        with pytest.raises(Truncated) as raised:
            wire.exchange("/exc-info-after")
    assert raised.value.reply.body == b"first"
    server.wait_log("too late for this")


def test_start_response_twice_without_exc_info_is_refused(server):
    assert server.get("/start-twice").text.startswith("refused: ")


@pytest.mark.parametrize("path", ["raise-before", "raise-after"])
def test_an_exception_before_the_first_byte_is_a_500_and_a_logged_traceback(server, path):
    before = server.get("/pid").text
    reply = server.get(f"/{path}")
    assert reply.status == 500
    assert b"RuntimeError" not in reply.body, "the reply must not tell strangers about the code"
    assert server.get("/pid").text == before
    server.wait_log(f"Traceback .*(\n.*)+RuntimeError: raised {path.removeprefix('raise-')} start_response")


@pytest.mark.parametrize("path", ["raise-midstream", "raise-midstream-with-length"])
def test_an_exception_midstream_cuts_the_reply_off_visibly(server, path):
    before = server.get("/pid").text
    with server.wire() as wire:
        with pytest.raises(Truncated) as raised:
            wire.exchange(f"/{path}")
    assert raised.value.reply.body in (b"partial", b"")
    server.wait_log("RuntimeError: raised midstream")
    assert server.get("/pid").text == before


@pytest.mark.parametrize("how", ["", "fail"])
def test_close_is_called_once_whether_or_not_iteration_fails(server, how):
    name = f"close-{how}"
    with server.wire() as wire:
        try:
            wire.exchange(f"/closing?{name}&{how}")
        except Truncated:
            assert how == "fail"
    wait_until(lambda: server.get(f"/closed?{name}").text == "1", what="close() called once")


def test_close_is_called_for_a_head_request(server):
    with server.wire() as wire:
        assert wire.exchange("/closing?head", method="HEAD").status == 200
    wait_until(lambda: server.get("/closed?head").text == "1", what="close() called once")


def test_close_is_called_when_the_client_goes_away(server):
    with server.wire() as wire:
        wire.get("/closing?gone&endless")
        wire.socket.recv(65536)
        wire.reset()
    wait_until(lambda: server.get("/closed?gone").text == "1", what="close() called once")


@pytest.mark.parametrize("path", ["bad-status", "bad-header-type", "injected"])
def test_what_the_pep_forbids_an_application_is_a_500_that_leaks_nothing(server, path):
    with server.wire() as wire:
        reply = wire.exchange(f"/{path}")
        assert reply.status == 500
        assert reply.header("x-injected") is None
    assert server.get("/hello").status == 200


@tapster  # gunicorn has sent the head by then
def test_a_body_that_is_not_bytes_is_a_500_and_logged(server):
    assert server.get("/unicode-body").status == 500
    server.wait_log("bytes")


@tapster
@pytest.mark.parametrize("path", ["no-start", "no-start-empty"])
def test_an_application_that_never_calls_start_response_is_a_500(server, path):
    assert server.get(f"/{path}").status == 500
    server.wait_log("start_response")


def test_a_body_of_just_the_announced_length_keeps_the_connection(server):
    with server.wire() as wire:
        reply = wire.exchange("/length?5,5")
        assert (reply.body, reply.header("content-length")) == (b"xxxxx", "5")
        wire.expect_open()


def test_a_body_longer_than_announced_is_cut_at_the_announced_length(server):
    with server.wire() as wire:
        reply = wire.exchange("/length?5,50")
        assert reply.body == b"xxxxx"
        if (reply.header("connection") or "").lower() != "close":
            wire.expect_open()


def test_a_body_shorter_than_announced_ends_the_connection(server):
    with server.wire() as wire, pytest.raises(Truncated) as raised:
        wire.exchange("/length?50,5")
    assert raised.value.reply.body == b"xxxxx"


@pytest.mark.parametrize("path", ["hello", "generator", "big?100000", "length?5,5"])
def test_head_has_the_head_of_get_and_no_body(server, path):
    with server.wire() as wire:
        reply = wire.exchange(f"/{path}", method="HEAD")
        assert reply.status in (200, 418)
        wire.expect_open()
    if path == "hello":
        assert reply.header("content-length") == "5"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_204_and_304_have_neither_body_nor_framing(server, status):
    with server.wire() as wire:
        reply = wire.exchange(f"/status?{status.replace(' ', '+')}")
        assert f"{reply.status} {reply.reason}" == status
        assert reply.header("x-seen") == "yes"
        assert reply.header("transfer-encoding") is None
        wire.expect_open()


def test_status_and_reason_are_the_applications_own(server):
    reply = server.get("/status?299+Rather+Fine")
    assert (reply.status, reply.reason, reply.body) == (299, "Rather Fine", b"body")


def test_headers_keep_their_order_case_repeats_and_latin_1(server):
    reply = server.get("/headers")
    assert reply.fields("set-cookie") == ["a=1; Path=/", "b=2; Path=/"]
    assert reply.header("x-latin") == "caf\xe9"
    assert reply.header("x-empty") == ""
    names = [name for name, _ in reply.headers]
    assert "x-lower" in names and names.index("X-Latin") < names.index("X-Empty") < names.index("x-lower")


@tapster  # gunicorn leaves them out
@pytest.mark.parametrize(("path", "name"), [("/hop-by-hop", "Connection"), ("/connection-close", "Connection")])
def test_hop_by_hop_headers_of_an_application_are_refused(server, path, name):
    with server.wire() as wire:
        reply = wire.exchange(path)
        assert (reply.status, reply.header("keep-alive"), reply.header("x-after")) == (500, None, None)
        assert reply.header("content-type") == "text/plain; charset=utf-8"
        wire.expect_closed()
    server.wait_log(f"AssertionError: the response header '{name}' is hop-by-hop.*PEP 3333.*hop_by_hop_headers")


@tapster  # gunicorn takes the Transfer-Encoding for its own
def test_hop_by_hop_headers_are_left_out_with_one_warning_each_where_that_is_set(serve):
    server = serve("conformance:application", "--hop-by-hop-headers", "drop")
    for _ in range(2):
        with server.wire() as wire:
            reply = wire.exchange("/hop-by-hop")
            assert (reply.status, reply.body, reply.header("x-after")) == (200, b"hop", "yes")
            for name in ("connection", "keep-alive", "te", "trailer", "transfer-encoding"):
                assert reply.header(name) is None
            wire.expect_open()
    for name in ("Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding"):
        server.wait_log(f"sets the response header {name}, .*PEP 3333")
        assert server.log().count(f"sets the response header {name},") == 1


def test_an_application_that_says_connection_close_gets_it_where_it_may_say_so(serve):
    server = serve("conformance:application", *([] if UNDER_TEST == "gunicorn" else ["--hop-by-hop-headers", "drop"]))
    with server.wire() as wire:
        reply = wire.exchange("/connection-close")
        assert (reply.status, reply.body, reply.fields("connection")) == (200, b"closed", ["close"])
        wire.expect_closed()


def test_date_is_there_exactly_once_even_if_the_application_sets_it(server):
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", server.get("/hello").header("date"))
    assert server.get("/own-date").header("date")


@pytest.mark.parametrize("offset", [0, 1, 5000])
def test_file_wrapper_sends_a_file_from_where_it_stands(server, offset):
    reply = server.get(f"/file-wrapper?{offset}")
    assert reply.body == (APPS / "conformance.py").read_bytes()[offset:]


def test_file_wrapper_takes_what_is_only_like_a_file(server):
    assert server.get("/file-wrapper-memory").body == b"m" * 100_000


def test_wsgi_errors_reaches_the_log_as_utf_8(server):
    assert server.get("/errors").status == 200
    for line in ("written caf\xe9 \u2713", "one line", "another line"):
        server.wait_log(f"errors: {line}")


@pytest.mark.parametrize("path", ["/", "/write"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_wsgiref_validate_finds_nothing(serve_validated, method, path):
    body = b"first line\nsecond line\nthird" if method == "POST" else None
    headers = {"Content-Type": "text/plain"} if body else {}
    reply = serve_validated.request(method, f"{path}?a=b", body, headers)
    assert (reply.status, reply.header("x-validated")) == (200, "yes"), serve_validated.tail()
    if method != "HEAD":
        assert reply.body == (b"written," if path == "/write" else b"") + b"valid:" + (body or b"")
    assert "AssertionError" not in serve_validated.log()


@pytest.fixture(scope="module", params=on_every_interpreter("pep3333"))
def serve_validated(request, serve_module):
    """The application wrapped by wsgiref.validate."""
    request.param.require()
    return serve_module("validated:application", interpreter=request.param)


def test_fifty_layers_of_middleware_each_add_their_header(serve):
    server = serve("middleware:application")
    for path, body in (("/", b"layers:50"), ("/write", b"written,layers:50")):
        reply = server.get(path)
        assert reply.body == body
        assert len(reply.fields("x-layer")) == 50
    assert server.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("name", ["function", "Class", "instance", "method", "static", "generator", "partial"])
def test_an_application_of_every_shape_can_be_named(serve, name):
    assert serve(f"shapes:{name}").get().text == name.lower()
