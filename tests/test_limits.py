"""Limits that no client gets past: what may be how large, to the byte, and how many connections a worker holds."""

import select
import time

import pytest

from harness import run_tapster, wait_until
from harness.waiting import always

pytestmark = pytest.mark.tapster
APP = "conformance:application"
HEAD = "GET /hello HTTP/1.1\r\nHost: a\r\n"
POST = "POST /input?digest HTTP/1.1\r\nHost: a\r\n"
MEGABYTE = 1 << 20


def answered(wire):
    """Whether something can be read from the connection, if only its end."""
    return bool(select.select([wire.socket], [], [], 0)[0])


def is_over(wire):
    """Whether the server has closed a connection on which nothing was due."""
    wire.socket.setblocking(False)
    try:
        return wire.socket.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        wire.socket.settimeout(10)


# Sizes.


def test_a_head_may_be_exactly_as_large_as_its_limit(serve):
    server = serve(APP, "--limit-request-head", "8KiB", "--limit-request-line", "1KiB")

    def status(size):
        with server.wire() as wire:
            filling = "".join(f"X-{number}: {'y' * 900}\r\n" for number in range(8))
            rest = size - len(HEAD) - len(filling) - len("X: \r\n\r\n")
            head = f"{HEAD}{filling}X: {'z' * rest}\r\n\r\n"
            assert len(head) == size
            return wire.send(head).reply().status

    assert (status(8192), status(8193)) == (200, 431)


def test_a_body_may_be_exactly_as_large_as_its_limit(serve):
    server = serve(APP, "--limit-request-body", "3MiB")
    whole = b"x" * (3 * MEGABYTE)

    def chunks(body):
        return iter([body[start : start + 50_000] for start in range(0, len(body), 50_000)])

    for body, status in ((whole, 200), (whole + b"x", 413)):
        assert server.request("POST", "/input?digest", body).status == status
        with server.wire() as wire:
            wire.send(f"{POST}Transfer-Encoding: chunked\r\n\r\n")
            for chunk in chunks(body):
                wire.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            assert wire.send("0\r\n\r\n").reply().status == status


def test_what_may_be_pipelined_is_itself_limited(tmp_path, python):
    def told(size):
        options = ["--python", python, "--limit-pipelined", size, "--print-config", APP]
        return run_tapster(*options, cwd=tmp_path)

    assert told("64KiB").returncode == 0
    refused = told("65537")
    assert refused.returncode == 2, refused.stderr
    assert "--limit-pipelined" in refused.stderr and "64KiB" in refused.stderr.replace(" ", ""), refused.stderr


# Connections.


def test_at_the_limit_a_newcomer_takes_the_place_of_who_has_been_idle_longest(serve):
    server = serve(APP, "--worker-connections", "4", "--keep-alive", "30")
    wires = [server.wire() for _ in range(4)]
    for number in (0, 1, 2, 3, 0, 3, 1):
        assert wires[number].exchange("/hello").status == 200
        time.sleep(0.01)
    with server.wire() as newcomer:
        newcomer.expect_open()
        wait_until(lambda: is_over(wires[2]), what="the longest idle is closed")
        newcomer.expect_open()
        for number in (0, 3, 1):
            wires[number].expect_open()
    for wire in wires:
        wire.close()


def test_silent_newcomers_do_not_drive_out_those_who_were_served_since(serve):
    server = serve(APP, "--worker-connections", "3", "--keep-alive", "20", "--client-header-timeout", "30s")
    with server.wire() as silent, server.wire() as kept, server.wire() as other:
        kept.expect_open()
        other.expect_open()
        time.sleep(0.05)
        other.expect_open()
        kept.expect_open()
        with server.wire() as newcomer:
            newcomer.expect_open()
            wait_until(lambda: is_over(silent) or is_over(kept) or is_over(other), what="one is closed")
            assert (is_over(silent), is_over(kept), is_over(other)) == (True, False, False)


def busy(server):
    """A connection that is known to be at work: it has been asked for the rest of its request, which is `x`."""
    wire = server.wire()
    wire.send(f"{POST}Connection: close\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
    assert wire.reply().status == 100
    return wire


def half_sent(server):
    """A connection that has just brought half a request, of which `\r\n` is the rest."""
    return server.wire().send(f"{HEAD}Connection: close\r\n")


@pytest.mark.parametrize(("start", "rest"), [(busy, "x"), (half_sent, "\r\n")], ids=["busy", "half_sent"])
def test_where_all_are_busy_a_newcomer_waits_until_one_ends(serve, start, rest):
    server = serve(APP, "--worker-connections", "3")
    wires = [start(server) for _ in range(3)]
    with server.wire() as newcomer:
        newcomer.get("/hello")
        always(lambda: not answered(newcomer), 0.4, "more connections are served than may be held")
        server.wait_log(r"\[WARNING\] .*worker_connections = 3 connections, none of them idle: new ones wait")
        for number in (1, 0, 2):
            assert wires[number].send(rest).reply().status == 200
            wires[number].close()
            assert number != 1 or newcomer.reply().status == 200


def test_what_one_worker_has_no_room_for_its_sibling_takes(serve):
    server = serve(APP, "--worker-connections", "2", workers=2)
    # Three of the four places, however they are shared out.
    wires = [busy(server) for _ in range(3)]
    for _ in range(20):
        assert server.get("/hello").status == 200
    wires.append(busy(server))
    with server.wire() as newcomer:
        newcomer.get("/hello")
        always(lambda: not answered(newcomer), 0.3, "more connections are served than may be held")
        for number, wire in enumerate(wires):
            assert wire.send("x").reply().status == 200
            wire.close()
            assert number or newcomer.reply().status == 200


def test_many_more_clients_than_places_are_all_served_in_the_end(serve):
    server = serve(APP, "--worker-connections", "5", "--keep-alive", "30")
    wires = [server.wire(timeout=20).get("/pid") for _ in range(300)]
    for wire in wires:
        assert wire.reply().status == 200
    wait_until(lambda: sum(is_over(wire) for wire in wires) >= 295, what="no more than five are held")
    for wire in wires:
        wire.close()
