"""The exact client itself: each way in which a request can end is told from the others, and none is left out."""

import socket
import struct
import threading

import pytest

from harness import wait_until
from harness.exact import (
    KEPT,
    REFUSED,
    RESET,
    RIGHT,
    TIMEOUT,
    TRUNCATED,
    UNANSWERED,
    WRONG,
    Ask,
    Connection,
    Exact,
    Failed,
)
from harness.ports import free_port

RST = struct.pack("ii", 1, 0)


def answer(serial, pid=7, size=100, more=b""):
    """A right reply."""
    body = f"{serial} 0 1 {pid}\n".encode().ljust(size, b".")
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (size, more) + body


def take(peer):
    """Reads one request."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += peer.recv(65536)


def reset(peer):
    """Closes abruptly."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)


def one(peer):
    """Answers the first request on a connection."""
    take(peer)
    peer.sendall(answer(1))


def unanswered(peer):
    take(peer)


def reset_at_once(peer):
    take(peer)
    reset(peer)


def cut_in_the_head(peer):
    take(peer)
    peer.sendall(answer(1)[:20])


def cut_in_the_body(peer):
    take(peer)
    peer.sendall(answer(1)[:-1])


def reset_in_the_body(peer):
    take(peer)
    peer.sendall(answer(1)[:-1])
    reset(peer)


def of_another(peer):
    take(peer)
    peer.sendall(answer(2))


def of_another_length(peer):
    take(peer)
    peer.sendall(answer(1, size=99))


def an_error(peer):
    take(peer)
    peer.sendall(answer(1).replace(b"200 OK", b"503 Service Unavailable"))


def told(behave):
    """What becomes of a request to a server that behaves so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            peer, _ = listener.accept()
            with peer:
                behave(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        connection = Connection(listener.getsockname(), patience_s=5)
        try:
            connection.exchange(Ask(), 1)
            return RIGHT
        except Failed as failed:
            return failed.fate
        finally:
            thread.join()
            connection.close()


@pytest.mark.parametrize(
    ("behave", "fate"),
    [
        (one, RIGHT),
        (unanswered, UNANSWERED),
        (reset_at_once, RESET),
        (cut_in_the_head, TRUNCATED),
        (cut_in_the_body, TRUNCATED),
        (reset_in_the_body, TRUNCATED),
        (of_another, WRONG),
        (of_another_length, WRONG),
        (an_error, WRONG),
    ],
)
def test_each_end_is_known_for_what_it_is(behave, fate):
    assert told(behave) == fate


def test_a_connection_that_nobody_takes_is_refused():
    with pytest.raises(Failed) as raised:
        Connection(("127.0.0.1", free_port()))
    assert raised.value.fate == REFUSED


def test_a_reply_that_does_not_come_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(listener.getsockname(), patience_s=0.1)
        with pytest.raises(Failed) as raised:
            connection.exchange(Ask(), 1)
        connection.close()
    assert raised.value.fate == TIMEOUT


def test_a_kept_connection_that_is_closed_before_the_request_comes_is_told_from_one_that_had_it():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for closes_first, fate in ((True, KEPT), (False, UNANSWERED)):
            connection = Connection(listener.getsockname(), patience_s=5)
            peer, _ = listener.accept()
            with peer:
                peer.sendall(answer(1))
                connection.exchange(Ask(), 1)
                take(peer)
                assert not connection.has_ended()
                if closes_first:
                    peer.close()
                    assert connection.has_ended(), "a client that looks before it asks would know"
                else:
                    threading.Thread(target=lambda peer=peer: (take(peer), peer.close())).start()
                with pytest.raises(Failed) as raised:
                    connection.exchange(Ask(), 2)
            connection.close()
            assert raised.value.fate == fate


def test_each_request_of_all_clients_is_counted_once(serve):
    server = serve("numbered:application", "--threads", "4", workers=2)
    with Exact(server.address) as load:
        wait_until(lambda: load.answered >= 500, 30, load.described)
    assert load.failures == [], load.described()
    assert load.sent == load.answered >= 500
    assert load.versions() == {"1"}
    assert load.pids() <= server.worker_pids()


def test_what_fails_is_counted_too():
    with Exact(("127.0.0.1", free_port()), stayers=1, dozers=1, comers=1) as load:
        wait_until(lambda: load.sent >= 10)
    assert set(load.fates()) == {REFUSED}
    assert load.fates()[REFUSED] == load.sent
