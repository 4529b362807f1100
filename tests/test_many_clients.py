"""Many clients of all kinds at once, in a worker with several threads: each gets its own bytes, all of them, and those that
leave cost the others nothing."""

import hashlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from harness import Truncated, wait_until
from harness.processes import open_files

pytestmark = pytest.mark.tapster
APP = "crowd:application"


def exchange_at_random(server, seed):
    """A few requests of any size and kind on one connection, all of whose answers must be right."""
    chance = random.Random(seed)
    with server.wire(timeout=60) as wire:
        for _ in range(6):
            size = int(10 ** (chance.random() * 6.3))
            if chance.random() < 0.5:
                number = chance.randrange(1 << 20)
                assert wire.exchange(f"/give?{size},{number}").body == random.Random(number).randbytes(size)
                continue
            data = chance.randbytes(size)
            if chance.random() < 0.5:
                wire.send(f"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").send(data)
            else:
                wire.send("POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                for place in range(0, size, 70_000):
                    piece = data[place : place + 70_000]
                    wire.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                wire.send("0\r\n\r\n")
            assert wire.reply().json == [size, hashlib.sha256(data).hexdigest()]


def test_bodies_of_all_sizes_are_whole_both_ways_with_many_clients(serve):
    server = serve(APP, "--threads", "8")
    with ThreadPoolExecutor(32) as clients:
        list(clients.map(lambda seed: exchange_at_random(server, seed), range(64)))
    assert len(server.ready()) == 1


def leave_at_random(server, seed):
    """Sends as much of a request, and takes as much of its reply, as chance has it, and goes away in one of two manners."""
    chance = random.Random(seed)
    size = int(10 ** (chance.random() * 6))
    heads = [
        f"GET /give?{size},{seed} HTTP/1.1\r\nHost: a\r\n\r\n",
        f"GET /give?{size},{seed} HTTP/1.0\r\n\r\n",
        "GET /blocks?left HTTP/1.1\r\nHost: a\r\n\r\n",
        f"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{'x' * size}",
    ]
    whole = chance.choice(heads).encode() * chance.choice([1, 1, 3])
    with server.wire(timeout=30) as wire:
        try:
            wire.send(whole[: chance.choice([chance.randrange(len(whole)), len(whole)])])
            if chance.random() < 0.5:
                # Whatever of a reply is there soon; there may never be one.
                wire.socket.settimeout(chance.random() / 20)
                wire.socket.recv(chance.randrange(1, size + 2))
        except OSError:
            pass
        if chance.random() < 0.5:
            wire.reset()


def test_clients_that_leave_at_any_moment_cost_neither_a_thread_nor_a_descriptor(serve):
    server = serve(APP, "--threads", "4", "--client-header-timeout", "2s")
    worker = server.live()[0].pid
    server.get("/who")
    files = len(open_files(worker))
    with ThreadPoolExecutor(16) as clients:
        list(clients.map(lambda seed: leave_at_random(server, seed), range(400)))
    with ExitStack() as stack:
        wires = [stack.enter_context(server.wire(timeout=30)).get("/meet?4") for _ in range(4)]
        assert len({wire.reply().json for wire in wires}) == 4
    wait_until(lambda: len(open_files(worker)) <= files, 20, lambda: f"{len(open_files(worker))} files, not {files}")
    assert len(server.ready()) == 1


def test_requests_get_their_own_answers_while_others_are_cut_off(serve):
    server = serve(APP, "--threads", "4")
    stop, wrong = threading.Event(), []

    def leave():
        seed = 1000
        while not stop.is_set():
            leave_at_random(server, seed := seed + 1)

    def ask(client):
        with server.wire(timeout=30) as wire:
            for number in range(150):
                asked = f"0.000{client:02}{number:03}"
                try:
                    answered = wire.exchange(f"/nap?{asked}").json
                except Truncated as error:
                    answered = error
                if answered != asked:
                    wrong.append((asked, answered))

    leaver = threading.Thread(target=leave)
    leaver.start()
    try:
        with ThreadPoolExecutor(6) as clients:
            list(clients.map(ask, range(6)))
    finally:
        stop.set()
        leaver.join()
    assert not wrong, wrong[:5]
