"""What strangers can make a worker hold: memory, files and the disk are bounded and given back; and a worker among
clients that wish it ill."""

import random
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness import Load, Wire, wait_until
from harness.processes import open_files

pytestmark = pytest.mark.tapster
APP = "conformance:application"
HEAD = "GET /hello HTTP/1.1\r\nHost: a\r\n"
POST = "POST /input?digest HTTP/1.1\r\nHost: a\r\n"
KILOBYTE, MEGABYTE = 1 << 10, 1 << 20


def memory(server):
    """How many bytes the one worker has in memory."""
    status = Path(f"/proc/{server.live()[0].pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * KILOBYTE


def peak(server):
    """The most that it ever had."""
    status = Path(f"/proc/{server.live()[0].pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * KILOBYTE


def descriptors(server):
    """How many files and sockets the one worker has open."""
    return len(open_files(server.live()[0].pid))


def kept_on_disk(server, folder):
    """How many bytes the one worker has in files that it keeps in that folder; they have no names."""
    worker = server.live()[0].pid
    files = [number for number, target in open_files(worker).items() if target.startswith(f"{folder}/")]
    return sum(Path(f"/proc/{worker}/fd/{number}").stat().st_size for number in files)


# Pipelines.


def test_an_endless_pipeline_behind_a_slow_request_takes_no_memory_and_is_answered(serve):
    server = serve(APP)
    server.get("/hello")
    before, count = memory(server), 6000
    pushed = threading.Event()
    with server.wire(timeout=30) as wire:

        def push():
            wire.get("/sleep?1")
            # Some 24 MiB, which no socket's buffers hold.
            for number in range(count):
                wire.get(f"/environ/{number}", f"X-Filling: {'x' * 4000}")
            pushed.set()

        thread = threading.Thread(target=push)
        thread.start()
        assert int(wire.reply().text) == server.live()[0].pid
        assert not pushed.is_set()
        for number in range(count):
            assert wire.reply().json["PATH_INFO"] == f"/environ/{number}"
        thread.join()
    assert peak(server) < before + 4 * MEGABYTE


def test_replies_that_nobody_takes_hold_the_pipeline_back(serve):
    server = serve(APP)
    server.get("/hello")
    before = memory(server)
    with server.wire(timeout=1) as wire, pytest.raises(TimeoutError):
        # Some 40 MiB of requests, which no socket's buffers hold.
        for _ in range(10_000):
            wire.get("/length?100000,100000", f"X-Filling: {'x' * 4000}")
        pytest.fail("a client may ask for ever and take nothing")
    assert peak(server) < before + 8 * MEGABYTE
    assert server.get("/hello").status == 200


# Bodies and heads.


def begin_uploads(server, size, count):
    """That many connections, each with an upload of which the last byte, `x`, is missing."""
    wires = [server.wire(timeout=20) for _ in range(count)]
    for wire in wires:
        wire.send(f"{POST}Content-Length: {size}\r\n\r\n").send(b"x" * (size - 1))
    return wires


def end_uploads(wires):
    """One half of the clients leaves in the midst of it, the other brings it to its end."""
    for wire in wires[::2]:
        wire.reset()
    for wire in wires[1::2]:
        assert wire.send("x").reply().status == 200
        wire.close()


def wait_given_back(server, before, more=12 * MEGABYTE):
    """Waits until the worker has little more in memory than before."""
    wait_until(lambda: memory(server) < before + more, what=lambda: f"{memory(server)} bytes, {before} before")


def test_the_memory_of_uploads_is_given_back(serve):
    server = serve(APP, "--keep-alive", "30")
    size, count = 400 * KILOBYTE, 120
    # Once before the measure, so that what Python keeps for itself is there.
    server.request("POST", "/input?digest", b"x" * size)
    before = memory(server)
    settled = []
    for _ in range(3):
        wires = begin_uploads(server, size, count)
        wait_until(lambda: memory(server) > before + size * count * 9 // 10, 20, "all of them are in memory")
        # What stays open, and was made last, could stand in the way.
        settled.append(server.wire())
        settled[-1].expect_open()
        end_uploads(wires)
    wait_given_back(server, before)
    for wire in settled:
        wire.expect_open()
        wire.close()


def test_uploads_that_are_small_each_but_many_do_not_fill_the_memory(serve):
    server = serve(APP)
    size, count = 500 * KILOBYTE, 400
    server.request("POST", "/input?digest", b"x" * size)
    before, files = memory(server), descriptors(server)
    wires = begin_uploads(server, size, count)
    # 200 MB, of which 64 MiB may be in memory.
    wait_until(lambda: descriptors(server) > files + count + 200, 20, "the later ones are on disk")
    assert server.get("/hello", timeout=20).status == 200
    assert peak(server) < before + 140 * MEGABYTE
    end_uploads(wires)
    wait_until(lambda: descriptors(server) <= files, what="all files are closed")
    wait_given_back(server, before)


def test_replies_that_many_do_not_take_do_not_fill_the_memory_and_arrive_whole(serve, tmp_path):
    # A Unix socket, whose buffers are small, so that nearly all of a reply stays with the server.
    server = serve(APP, bind=f"unix:{tmp_path}/s.sock")
    size, count = 900 * KILOBYTE, 200
    server.get(f"/length?{size},{size}")
    before, files = memory(server), descriptors(server)
    wires = [server.wire(timeout=20).get(f"/length?{size},{size}") for _ in range(count)]
    # 176 MiB, of which 64 may be in memory.
    for wire in wires:
        assert wire.socket.recv(1, socket.MSG_PEEK)
    assert peak(server) < before + 100 * MEGABYTE
    for wire in wires[::2]:
        wire.reset()
    for wire in wires[1::2]:
        assert wire.reply().body == b"x" * size
        wire.close()
    wait_until(lambda: descriptors(server) <= files, what="all files are closed")
    wait_given_back(server, before)


def test_an_upload_that_never_reaches_the_application_leaves_nothing_on_disk(serve, tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    # An application that finds what every environ is copied from, and spoils it.
    (tmp_path / "spoils.py").write_text(
        "import gc\n\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    gc.unfreeze()\n"
        "    for each in gc.get_objects():\n"
        "        if type(each) is dict and each.get('wsgi.input', each) is None:\n"
        "            each['HTTP_X' + 70 * '_SPOILED'] = 5\n"
        "    return [b'spoiled']\n"
    )
    server = serve("spoils:application", "--pythonpath", tmp_path, "--tmp-upload-dir", folder)
    assert server.get().text == "spoiled"
    # A name that is too long to be known is added to what is there.
    reply = server.request("POST", "/", bytes(4 * MEGABYTE), {"X" + 70 * "-Spoiled": "yes"})
    assert reply.status == 500
    server.wait_log("Error handling request POST /\n(.*\n)*?TypeError: unsupported operand")
    pid = server.live()[0].pid
    wait_until(lambda: not [path for path in open_files(pid).values() if str(folder) in path], what="its file is gone")


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(("blocks", "more"), [(100, 8), (1, 64 + 8)], ids=["in_blocks", "in_one_piece"])
def test_a_large_reply_whose_client_is_slow_is_kept_on_disk_and_holds_up_nobody(serve, tmp_path, threads, blocks, more):
    folder = tmp_path / "uploads"
    folder.mkdir()
    # A Unix socket, whose buffers are small.
    server = serve("late:application", "--threads", str(threads), "--tmp-upload-dir", folder, bind=f"unix:{tmp_path}/s.sock")
    size = 100 * MEGABYTE
    made = size // blocks
    # Once before the measure, so that what Python keeps for itself is there.
    assert len(server.get(f"/pushed?2,{MEGABYTE}").body) == 2 * MEGABYTE
    before = memory(server)

    def is_kept():
        assert server.get("/quick?1,other", timeout=20).text == "1,other"
        return kept_on_disk(server, folder) > size - 2 * MEGABYTE

    with server.wire(timeout=30) as wire:
        wire.get(f"/pushed?{blocks},{made}", "Connection: close")
        wait_until(is_kept, 30, lambda: f"all of it is on disk; {kept_on_disk(server, folder)} bytes are")
        # The application has a block of it; all that connections keep in memory are 64 MiB at the most, of one reply 1 MiB.
        assert peak(server) < before + made + more * MEGABYTE, (before, peak(server))
        wait_given_back(server, before, 8 * MEGABYTE)
        taken = []
        while data := wire.socket.recv(1 << 20):
            taken.append(data)
    body = b"".join(taken).partition(b"\r\n\r\n")[2]
    assert body.count(b"p") == size and body.endswith(b"\r\n0\r\n\r\n")
    wait_until(lambda: not kept_on_disk(server, folder), what="its file is closed")
    wait_given_back(server, before, 8 * MEGABYTE)


def test_large_uploads_are_kept_on_disk_and_leave_nothing_there(serve, tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    server = serve(APP, "--tmp-upload-dir", folder)
    size, count = 5 * MEGABYTE, 20
    files = descriptors(server)
    server.request("POST", "/input?digest", b"x" * size)
    wait_until(lambda: descriptors(server) <= files, what="the first one's connection and file are closed")
    before = memory(server)
    wires = begin_uploads(server, size, count)
    assert server.get("/hello", timeout=20).status == 200
    wait_until(lambda: descriptors(server) >= files + 2 * count - 1, 20, "each has a connection and a file")
    assert not list(folder.iterdir()), "the files have names"
    end_uploads(wires)
    wait_until(lambda: descriptors(server) <= files, what="all files are closed")
    assert peak(server) < before + 32 * MEGABYTE
    wait_given_back(server, before)


def test_large_heads_are_not_kept(serve):
    server = serve(APP, "--limit-request-head", "1MiB", "--limit-request-field-size", "64KiB", "--keep-alive", "30")
    head = HEAD + "".join(f"X-{number}: {'y' * 60_000}\r\n" for number in range(15))
    server.get("/hello")
    before = memory(server)
    wires = [server.wire(timeout=20) for _ in range(60)]
    for wire in wires:
        wire.send(head)
    wait_until(lambda: memory(server) > before + 50 * len(head), 20, "all of them are in memory")
    for wire in wires:
        assert wire.send("\r\n").reply().status == 200
    # The connections stay.
    wait_given_back(server, before)
    for wire in wires:
        wire.close()


# The disk.


@pytest.fixture
def no_folder(tmp_path):
    """A folder that is gone when a body is to be kept there."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder, folder.rmdir


@pytest.fixture
def small_disk(tmp_path):
    """A disk of four MiB."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tapster-test", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except OSError as error:
        pytest.skip(f"can't mount a tmpfs: {error}")
    if done.returncode:
        pytest.skip(f"can't mount a tmpfs: {done.stderr.strip()}")
    yield folder, lambda: None
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=20)


@pytest.fixture
def little_allowed(tmp_path):
    """A disk of which the settings allow to use one MiB."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder, lambda: None


@pytest.mark.parametrize("disk", ["no_folder", "small_disk", "little_allowed"])
def test_a_body_that_the_disk_has_no_room_for_gets_507_and_a_line_in_the_log(serve, request, disk):
    folder, take_away = request.getfixturevalue(disk)
    begun = time.monotonic()
    limit = ["--tmp-upload-limit", "1MiB"] if disk == "little_allowed" else []
    server = serve(APP, "--tmp-upload-dir", folder, "--lingering-timeout", "20s", *limit)
    take_away()
    pid, files = server.get("/pid").text, descriptors(server)
    for number in range(12):
        with server.wire(timeout=20) as wire:
            if number % 2:
                wire.send(f"{POST}Content-Length: {5 * MEGABYTE}\r\n\r\n").send(b"x" * (5 * MEGABYTE))
            else:
                wire.send(f"{POST}Transfer-Encoding: chunked\r\n\r\n500000\r\n").send(b"x" * (5 * MEGABYTE))
            reply = wire.reply()
            assert (reply.status, reply.header("connection")) == (507, "close")
            assert str(folder) not in reply.text
            wire.finish_sending()
            wire.expect_closed()
    # What needs no disk is served.
    assert server.request("POST", "/input?echo", b"small").text == "small"
    assert server.get("/pid").text == pid
    wait_until(lambda: descriptors(server) <= files, what="no file is left open")
    server.wait_log(r"\[ERROR\].* can't keep a request's body in a temporary file: .*tmp_upload_(dir|limit)")
    # One in ten seconds.
    assert server.log().count("can't keep a request's body") <= 1 + (time.monotonic() - begun) // 10


def test_a_disk_that_has_room_again_takes_bodies_again(serve, small_disk):
    folder, _ = small_disk
    (folder / "filling").write_bytes(b"x" * (4 * MEGABYTE - 4096))
    server = serve(APP, "--tmp-upload-dir", folder)
    body = b"x" * (3 * MEGABYTE)
    assert server.request("POST", "/input?digest", body).status == 507
    (folder / "filling").unlink()
    assert server.request("POST", "/input?digest", body).status == 200
    wait_until(lambda: shutil.disk_usage(folder).used < MEGABYTE, what="the disk is empty again")
    # One whose client has left frees its place.
    with server.wire() as wire:
        wire.send(f"{POST}Content-Length: {len(body)}\r\n\r\n").send(body[1:])
        wait_until(lambda: shutil.disk_usage(folder).used > 2_900 * KILOBYTE, what="the body is on the disk")
        assert server.request("POST", "/input?digest", body).status == 507
        wire.reset()
    wait_until(lambda: server.request("POST", "/input?digest", body).status == 200, what="the disk has room again")


# Among hostile clients.

STARTS = (
    HEAD,
    POST + "Content-Length: 700000\r\n\r\nabc",
    POST + "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    POST + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    "GET /big?3000000 HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
    "GET /raise-midstream HTTP/1.1\r\nHost: a\r\n\r\n" * 3,
    "POST /input?echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    "BAD\r\n\r\n",
    "\r\n" * 30,
    "\0" * 500,
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "",
)


def harass(address, seed, until):
    """Opens connections, says something odd on each, and leaves in one way or another, until it is time."""
    chance = random.Random(seed)
    while not until.is_set():
        start = chance.choice(STARTS).encode("latin-1")
        if chance.random() < 0.3:
            start = start[: chance.randrange(len(start) + 1)] + chance.randbytes(chance.randrange(3000))
        try:
            with Wire(address, timeout=5) as wire:
                wire.send(start)
                if chance.random() < 0.3:
                    wire.socket.recv(100_000)
                if chance.random() < 0.2:
                    wire.finish_sending()
                    wire.socket.recv(100)
                if chance.random() < 0.4:
                    wire.reset()
        except OSError:
            continue


def test_among_hostile_clients_a_normal_ones_requests_all_succeed(serve):
    options = ["--client-header-timeout", "300ms", "--client-body-timeout", "300ms", "--lingering-timeout", "300ms"]
    server = serve(APP, *options)
    pid = server.get("/pid").text
    before, files, over = memory(server), descriptors(server), threading.Event()
    seeds = [random.SystemRandom().randrange(1 << 32) for _ in range(6)]
    threads = [threading.Thread(target=harass, args=(server.address, seed, over)) for seed in seeds]
    for thread in threads:
        thread.start()
    with Load(server.address, "/pid", connections=2, pause=0.005) as load:
        over.wait(3)
        load.wait_answered(20)
    over.set()
    for thread in threads:
        thread.join()
    assert not load.lost, seeds
    assert set(load.bodies) == {pid.encode()}, seeds
    assert server.get("/pid").text == pid
    wait_until(lambda: descriptors(server) <= files, 20, lambda: f"{files} open files: {descriptors(server)}")
    assert memory(server) < before + 40 * MEGABYTE, seeds
