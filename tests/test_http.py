"""HTTP/1.1 from outside: connections, framing, bodies of all sizes, and requests that are wrong."""

import hashlib
import threading

import pytest

from harness import UNDER_TEST, Truncated, request, wait_until

tapster = pytest.mark.tapster
pytestmark = pytest.mark.xdist_group("http")
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def server(serve_module):
    """One worker with the conformance application, shared by this module."""
    return serve_module("conformance:application", "--keep-alive", "20")


@pytest.fixture
def worker(server):
    """Asserts that the one worker is the same after the test: nothing that a client sends may end it."""
    before = server.get("/pid").text
    yield
    assert server.get("/pid").text == before


# Connections.


def test_a_connection_serves_a_hundred_requests(server):
    with server.wire() as wire:
        for _ in range(100):
            assert wire.exchange("/hello").body == b"hello"
        wire.expect_open()


def test_pipelined_requests_are_answered_in_order(server):
    with server.wire() as wire:
        for number in range(30):
            wire.get(f"/environ/{number}" if number % 3 else f"/length?{number},{number}")
        for number in range(30):
            reply = wire.reply()
            if number % 3:
                assert reply.json["PATH_INFO"] == f"/environ/{number}"
            else:
                assert len(reply.body) == number
        wire.expect_open()


def test_a_request_pipelined_behind_a_body_is_found_at_its_end(server):
    with server.wire() as wire:
        wire.send("POST /input?echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        wire.send("POST /input?echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n")
        wire.get("/hello")
        assert [wire.reply().body for _ in range(3)] == [b"abc", b"de", b"hello"]
        wire.expect_open()


def test_connection_close_is_answered_and_obeyed(server):
    with server.wire() as wire:
        reply = wire.exchange("/hello", "Connection: close")
        assert reply.header("connection").lower() == "close"
        wire.expect_closed()


def test_an_http_1_0_client_gets_its_reply_and_the_end(server):
    with server.wire() as wire:
        reply = wire.send("GET /generator HTTP/1.0\r\n\r\n").reply()
        assert reply.body == b"one,two,three"
        assert reply.header("transfer-encoding") is None
        wire.expect_closed()


@tapster
def test_an_http_1_0_client_that_asks_for_it_keeps_its_connection(server):
    with server.wire() as wire:
        for _ in range(2):
            reply = wire.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").reply()
            assert reply.body == b"hello"
            assert reply.header("connection").lower() == "keep-alive"


def test_a_client_that_half_closes_still_gets_its_reply(server):
    with server.wire() as wire:
        wire.send("POST /input?echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").finish_sending()
        assert wire.reply().body == b"hello"
        wire.expect_closed()


def test_a_request_that_arrives_byte_by_byte_is_understood(server):
    with server.wire() as wire:
        for byte in b"POST /input?echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
            wire.send(bytes([byte]))
        assert wire.reply().body == b"abc"
        wire.expect_open()


def test_an_idle_connection_is_closed_after_keep_alive(serve):
    server = serve("conformance:application", "--keep-alive", "1")
    with server.wire(timeout=8) as wire:
        wire.expect_open()
        wire.expect_closed()


@tapster
def test_clients_that_send_half_a_request_hold_up_nobody(server):
    slow = [server.wire() for _ in range(20)]
    for number, wire in enumerate(slow):
        wire.send("GET /hello HT" if number % 2 else "POST /input?echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    assert server.get("/hello", timeout=2).body == b"hello"
    slow[0].send("defghi")
    assert slow[0].reply().body == b"abcdefghi"
    slow[1].send("TP/1.1\r\nHost: a\r\n\r\n")
    assert slow[1].reply().body == b"hello"
    for wire in slow:
        wire.close()


@tapster
def test_a_client_that_does_not_read_holds_up_nobody(server):
    with server.wire() as slow:
        slow.get(f"/length?{30 * MEGABYTE},{30 * MEGABYTE}")
        assert slow.socket.recv(1)
        assert server.get("/hello", timeout=3).body == b"hello"


# Bodies.


def test_twenty_megabytes_go_in_and_come_back(server):
    body = hashlib.sha256(b"seed").digest() * (20 * MEGABYTE // 32)
    reply = server.request("POST", "/input?echo", body, timeout=30)
    assert reply.body == body


def test_a_big_chunked_body_is_read_whole(server):
    block = bytes(range(256)) * 1000
    reply = server.request("POST", "/input?digest", iter([block] * 30), {"Transfer-Encoding": "chunked"}, timeout=30)
    assert reply.text == hashlib.sha256(block * 30).hexdigest()


def test_twenty_megabytes_of_chunks_come_out_whole(server):
    with server.wire(timeout=30) as wire:
        assert len(wire.exchange(f"/big?{20 * MEGABYTE}").body) == 20 * MEGABYTE
        wire.expect_open()


def test_chunks_with_extensions_and_trailers_are_understood(server):
    with server.wire() as wire:
        wire.send("POST /input?echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send('3;name=value\r\nabc\r\n000A;q="x"\r\n0123456789\r\n0\r\nX-Trailer: yes\r\n\r\n')
        assert wire.reply().body == b"abc0123456789"
        wire.expect_open()


def test_a_body_that_nobody_read_does_not_become_the_next_request(server):
    with server.wire() as wire:
        body = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n" * 100
        wire.send(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        reply = wire.reply()
        assert reply.body == b"hello"
        if (reply.header("connection") or "").lower() != "close":
            wire.expect_open()


def test_expect_100_continue_is_answered_before_the_body_is_sent(server):
    with server.wire() as wire:
        wire.send("POST /input?echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert wire.reply().status == 100
        assert wire.send("body").reply().body == b"body"
        wire.expect_open()


def test_expect_100_continue_with_the_body_already_there_gets_one_final_reply(server):
    with server.wire() as wire:
        wire.send("POST /input?echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
        assert wire.final_reply().body == b"body"
        wire.expect_open()


@tapster
def test_a_body_that_ends_early_never_reaches_the_application_as_whole(server, worker):
    with server.wire() as wire:
        wire.send("POST /input?echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this").finish_sending()
        try:
            assert wire.reply().status in (400, 408, 500)
        except Truncated as raised:
            assert raised.reply is None


# Requests that are wrong.

GET = "GET /hello HTTP/1.1\r\n"
POST = "POST /input?echo HTTP/1.1\r\nHost: a\r\n"
BAD = {
    "no version": ("GET /hello\r\nHost: a\r\n\r\n", 400),
    "a version that is none": ("GET /hello HTTP/x.y\r\nHost: a\r\n\r\n", 400),
    "no target": ("GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a method with a bad character": ("G@T /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "binary noise": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a header without a colon": (GET + "Host: a\r\nNonsense\r\n\r\n", 400),
    "a space before the colon": (GET + "Host : a\r\n\r\n", 400),
    "an empty header name": (GET + "Host: a\r\n: b\r\n\r\n", 400),
    "a folded header": (GET + "Host: a\r\nX-Fold: a\r\n b\r\n\r\n", 400),
    "a NUL in a header": (GET + "Host: a\r\nX-Nul: a\0b\r\n\r\n", 400),
    "a bare CR in a header": (GET + "Host: a\r\nX-Cr: a\rb\r\n\r\n", 400),
    "two hosts": (GET + "Host: a\r\nHost: b\r\n\r\n", 400),
    "a negative length": (POST + "Content-Length: -1\r\n\r\n", 400),
    "a signed length": (POST + "Content-Length: +3\r\n\r\nabc", 400),
    "a length that is no number": (POST + "Content-Length: 3a\r\n\r\nabc", 400),
    "two lengths that differ": (POST + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "length and chunked": (POST + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked not last": (POST + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    "an unknown transfer coding": (POST + "Transfer-Encoding: gibberish\r\n\r\n", 501),
    "a chunk size that is none": (POST + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk with a prefix": (POST + "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk longer than its size": (POST + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n", 400),
    "a line that is too long": (f"GET /{'x' * 20_000} HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "a header that is too long": (GET + f"Host: a\r\nX-Long: {'x' * 70_000}\r\n\r\n", 431),
    "too many headers": (GET + "Host: a\r\n" + "X-Many: 1\r\n" * 1_000 + "\r\n", 431),
    "an unknown expectation": (GET + "Host: a\r\nExpect: miracles\r\n\r\n", 417),
    "a version of the future": ("GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505),
}
#: Where gunicorn answers otherwise, or not at all until more comes: {name: why}.
NOT_GUNICORN = {
    "an unknown transfer coding": "refuses what does not end in chunked as 400",
    "a version of the future": "says 400",
    "a chunk longer than its size": "the application sees the error",
    "a chunk size that is none": "the application sees the error",
    "a chunk with a prefix": "the application sees the error",
    "no target": "takes it",
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_request_is_refused_with_its_status_and_the_worker_lives_on(server, worker, name):
    sent, status = BAD[name]
    if UNDER_TEST == "gunicorn" and name in NOT_GUNICORN:
        pytest.skip(f"gunicorn: {NOT_GUNICORN[name]}")
    with server.wire() as wire:
        try:
            wire.send(sent)
        except OSError:
            pass  # refused before all of it was sent, which is the server's right
        reply = wire.reply()
        assert reply.status == status, reply
        if UNDER_TEST == "tapster":
            assert reply.header("connection").lower() == "close"
        wire.expect_closed()


@tapster
def test_an_http_1_1_request_without_host_is_refused(server, worker):
    with server.wire() as wire:
        assert wire.send("GET /hello HTTP/1.1\r\n\r\n").reply().status == 400


def test_a_client_that_resets_in_the_middle_of_a_reply_harms_nobody(server, worker):
    for _ in range(5):
        with server.wire() as wire:
            wire.get(f"/big?{8 * MEGABYTE}")
            assert wire.socket.recv(100)
            wire.reset()


def test_two_hundred_connections_at_once_are_all_answered(server):
    wires = [server.wire() for _ in range(200)]
    for wire in wires:
        wire.get("/hello")
    for wire in wires:
        assert wire.reply().body == b"hello"
        wire.close()


def test_a_unix_socket_serves_and_says_so_in_the_environ(serve, tmp_path):
    server = serve("conformance:application", bind=f"unix:{tmp_path}/s.sock")
    found = server.get("/environ").json
    assert found["REMOTE_ADDR"] == ""
    assert found["SERVER_NAME"] and found["SERVER_PORT"]
    assert server.stop() == 0
    assert not (tmp_path / "s.sock").exists(), "the socket's file is left behind"


@tapster
def test_two_addresses_serve_at_once(serve, tmp_path):
    server = serve("conformance:application", "--bind", f"unix:{tmp_path}/second.sock")
    assert server.get("/hello").body == b"hello"
    assert request(f"{tmp_path}/second.sock", "GET", "/hello").body == b"hello"


def test_requests_from_many_threads_get_each_their_own_reply(server):
    wrong = []

    def ask(number):
        with server.wire() as wire:
            for count in range(30):
                found = wire.exchange(f"/environ/{number}/{count}").json["PATH_INFO"]
                if found != f"/environ/{number}/{count}":
                    wrong.append((number, count, found))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: not any(thread.is_alive() for thread in threads), 20, "all threads answered")
    assert not wrong
