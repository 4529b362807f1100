"""`wsgi.file_wrapper`: plain files are sent from where they stand, with their length; what is only like a file is read."""

import errno
import gzip
import hashlib
import os
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

from harness import UNDER_TEST, Truncated, wait_until
from harness.interpreters import on_every_interpreter
from harness.processes import open_files

tapster = pytest.mark.tapster
PLAIN = ["raw", "buffered", "random", "temporary", "anonymous", "django"]
SIZE = 300_000
MEGABYTE = 1 << 20


@pytest.fixture(scope="module", params=on_every_interpreter("file-wrapper"))
def server(request, serve_module):
    """One worker with the application that sends files, shared by the tests of one CPython."""
    request.param.require()
    return serve_module("files:application", "--keep-alive", "30", interpreter=request.param)


@pytest.fixture
def file(tmp_path):
    """A file of which no two parts are alike."""
    path = tmp_path / "file"
    path.write_bytes(b"".join(b"%07d\n" % number for number in range(SIZE // 8)))
    return path


def target(kind, path, **asked):
    """What to ask for to get the file, opened in that way."""
    return f"/{kind}?{urlencode({'path': path, **asked})}"


def closed(server, name):
    """How many times close() was called."""
    return int(server.get(f"/closed?{name}").text)


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_file_is_sent_whole_and_closed_once(server, file, kind):
    with server.wire() as wire:
        reply = wire.exchange(target(kind, file, name=kind))
        assert reply.body == file.read_bytes()
        wire.expect_open()
    wait_until(lambda: closed(server, kind) == 1, what="close() called once")


@tapster  # gunicorn sends chunks
@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_files_length_is_known_where_the_application_does_not_tell_it(server, file, kind):
    with server.wire() as wire:
        reply = wire.exchange(target(kind, file))
        assert reply.header("content-length") == str(SIZE)
        reply = wire.exchange(target(kind, file, offset=1000, read=24))
        assert reply.header("content-length") == str(SIZE - 1024)
        wire.expect_open()


@tapster  # gunicorn asks the descriptor, which is ahead of what has been read through a buffer
@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("asked", [{"offset": 5000}, {"read": 77}, {"offset": 100_000, "read": 9000}])
def test_a_file_is_sent_from_where_it_stands(server, file, kind, asked):
    reply = server.get(target(kind, file, **asked))
    assert reply.body == file.read_bytes()[sum(asked.values()) :]


@pytest.mark.parametrize("kind", [*PLAIN, "memory"])
def test_a_declared_length_says_where_in_the_file_to_stop(server, file, kind):
    with server.wire() as wire:
        reply = wire.exchange(target(kind, file, offset=800, length=100_000))
        assert reply.header("content-length") == "100000"
        assert reply.body == file.read_bytes()[800:100_800]
        wire.expect_open()
    # It is what a reply to a request for a range does.
    assert "more body than" not in server.log()


@tapster  # gunicorn lets the client wait for the rest
@pytest.mark.parametrize("kind", ["buffered", "memory"])
def test_a_file_shorter_than_declared_is_sent_and_then_the_connection_breaks(server, file, kind):
    with server.wire() as wire, pytest.raises(Truncated) as raised:
        wire.exchange(target(kind, file, length=SIZE + 10))
    assert raised.value.reply.body == file.read_bytes()
    if UNDER_TEST == "tapster":
        server.wait_log(f"sent {SIZE} bytes of body after declaring a Content-Length of {SIZE + 10} for GET /{kind}")


@pytest.mark.parametrize("kind", ["buffered", "memory"])
@pytest.mark.parametrize("length", [None, SIZE + 7])
def test_what_was_written_comes_before_the_file(server, file, kind, length):
    asked = {"write": "written"} | ({"length": length} if length else {})
    with server.wire() as wire:
        reply = wire.exchange(target(kind, file, **asked))
        assert reply.body == b"written" + file.read_bytes()
        wire.expect_open()


@tapster  # gunicorn counts the file alone
def test_a_declared_length_counts_what_was_written_too(server, file):
    with server.wire() as wire:
        reply = wire.exchange(target("buffered", file, write="written", length=1007))
        assert reply.body == b"written" + file.read_bytes()[:1000]
        wire.expect_open()


@pytest.mark.parametrize("kind", ["buffered", "memory"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No Content")])
def test_where_there_is_no_body_nothing_of_the_file_is_sent_and_it_is_closed(server, file, kind, method, status):
    name = f"{kind}-{method}-{status.split()[0]}"
    with server.wire() as wire:
        reply = wire.exchange(target(kind, file, status=status, name=name), method=method)
        assert f"{reply.status} {reply.reason}" == status
        wire.expect_open()
    wait_until(lambda: closed(server, name) == 1, what="close() called once")


def fields(reply):
    """A reply's fields, but for when it was made."""
    return [(name, value) for name, value in reply.headers if name.lower() != "date"]


@tapster  # gunicorn knows no length
@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("asked", [{}, {"offset": 5000}, {"length": 700}, {"status": "206 Partial Content", "read": 8}])
def test_head_is_told_what_get_is(server, file, kind, asked):
    with server.wire() as wire:
        get = wire.exchange(target(kind, file, **asked))
        head = wire.exchange(target(kind, file, **asked), method="HEAD")
        assert (head.status, fields(head)) == (get.status, fields(get))
        assert head.header("content-length") == str(len(get.body)) and head.body == b""
        wire.expect_open()


@tapster  # gunicorn sends chunks
@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", ["304 Not Modified", "204 No Content"])
def test_no_length_is_told_of_a_file_that_is_not_meant(server, file, method, status):
    with server.wire() as wire:
        reply = wire.exchange(target("buffered", file, status=status), method=method)
        assert reply.header("content-length") is None and reply.header("transfer-encoding") is None
        wire.expect_open()


@tapster  # gunicorn reads it, and throws it away
@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No Content")])
@pytest.mark.parametrize("asked", [{}, {"write": "written"}])
def test_where_there_is_no_body_nothing_of_the_file_is_read(server, method, status, asked):
    with server.wire() as wire:
        name = f"{method}-{status[:3]}-{len(asked)}"
        reply = wire.exchange(target("unreadable", name, status=status, **asked), method=method)
        assert f"{reply.status} {reply.reason}" == status
        wire.expect_open()
    assert f"{name} is not to be read" not in server.log()


@pytest.mark.parametrize("kind", ["buffered", "memory"])
def test_a_client_of_http_1_0_gets_the_file_too(server, file, kind):
    for asked in ({}, {"write": "written"}):
        with server.wire() as wire:
            reply = wire.send(f"GET {target(kind, file, **asked)} HTTP/1.0\r\n\r\n").reply()
            assert reply.body == asked.get("write", "").encode() + file.read_bytes()
            wire.expect_closed()


@tapster  # gunicorn sends whatever has a descriptor
@pytest.mark.parametrize("kind", ["subclass", "own-read", "gzip", "pipe", "no-close"])
def test_what_is_only_like_a_file_is_read_in_its_own_way(server, tmp_path, kind):
    data, path = b"a small text\n" * 1000, tmp_path / "file"
    path.write_bytes(gzip.compress(data) if kind == "gzip" else data)
    with server.wire() as wire:
        reply = wire.exchange(target(kind, path))
        assert reply.body == (data.upper() if kind in ("subclass", "own-read") else data)
        assert reply.header("content-length") is None
        wire.expect_open()


#: Files that the kernel makes as they are read: of no size, or of a page's, whatever is in them.
MADE = ["/proc/version", "/proc/cpuinfo", "/proc/sys/kernel/ostype", "/sys/devices/system/cpu/online", "/sys/kernel/fscaps"]


@tapster  # gunicorn believes what such a file says of its size
@pytest.mark.parametrize("path", MADE)
@pytest.mark.parametrize("kind", ["raw", "buffered"])
def test_a_file_that_the_kernel_makes_is_read(server, kind, path):
    if not Path(path).exists():
        pytest.skip(f"there is no {path}")
    content = Path(path).read_bytes()
    assert content
    with server.wire() as wire:
        for asked, length in ({}, None), ({"length": len(content)}, str(len(content))):
            reply = wire.exchange(target(kind, path, **asked))
            assert (reply.body, reply.header("content-length")) == (content, length)
        # Nobody can know its length without reading it.
        assert wire.exchange(target(kind, path), method="HEAD").header("content-length") is None
        wire.expect_open()


@tapster
def test_a_device_is_read(server):
    with server.wire() as wire:
        assert wire.exchange(target("buffered", "/dev/null")).body == b""
        assert wire.exchange(target("raw", "/dev/zero", length=SIZE)).body == bytes(SIZE)
        wire.expect_open()


@tapster  # gunicorn can't
def test_an_empty_file_is_sent(server, tmp_path):
    (tmp_path / "empty").touch()
    with server.wire() as wire:
        assert wire.exchange(target("buffered", tmp_path / "empty")).body == b""
        wire.expect_open()


@pytest.mark.parametrize("asked", [{}, {"offset": 5000}, {"read": 77}, {"length": 100}])
@pytest.mark.parametrize("kind", ["raw", "buffered"])
def test_a_file_that_is_all_holes_is_sent(server, tmp_path, kind, asked):
    with (tmp_path / "holes").open("wb") as sparse:
        sparse.truncate(SIZE)
    knows_holes = has_no_data(tmp_path / "holes")
    reply = server.get(target(kind, tmp_path / "holes", **asked))
    rest = bytes(asked.get("length", SIZE - sum(asked.values())))
    assert reply.body == rest
    if UNDER_TEST == "tapster" and knows_holes:
        assert reply.header("content-length") == str(len(rest))


def has_no_data(path):
    """Whether the file system says that there is none in a file."""
    with path.open("rb") as stream:
        try:
            os.lseek(stream.fileno(), 0, os.SEEK_DATA)
        except OSError as error:
            return error.errno == errno.ENXIO
    return False


@tapster
def test_a_file_with_holes_is_sent(server, tmp_path):
    with (tmp_path / "holes").open("wb") as sparse:
        sparse.truncate(SIZE)
        sparse.seek(200_000)
        sparse.write(b"data")
    reply = server.get(target("buffered", tmp_path / "holes"))
    assert reply.header("content-length") == str(SIZE)
    assert reply.body == (tmp_path / "holes").read_bytes()


@tapster  # gunicorn sends what is on the disk
def test_what_stands_in_a_files_buffer_is_written_before_it_is_sent(serve, tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "buffered.py").write_text(
        "def application(environ, start_response):\n"
        f"    stream = open('{tmp_path}/file', 'r+b')\n"
        "    stream.write(b'WRITTEN')\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return environ['wsgi.file_wrapper'](stream)\n"
    )
    server = serve("buffered:application", "--pythonpath", tmp_path)
    assert server.get().body == b"789"
    assert (tmp_path / "file").read_bytes() == b"WRITTEN789"


@tapster  # gunicorn sends the file all the same
def test_a_wrapper_that_the_application_changes_is_iterated(server, tmp_path):
    (tmp_path / "file").write_bytes(b"once.")
    assert server.get(target("subclass-of-wrapper", tmp_path / "file")).body == b"once.once."


def test_middleware_may_iterate_the_wrapper(server, file):
    assert server.get(target("generator", file)).body == file.read_bytes()


@tapster  # gunicorn has no status line to send then, and sends the file all the same
def test_a_file_without_start_response_is_a_500(server):
    assert server.get("/not-started").status == 500
    server.wait_log("start_response")


def test_files_and_other_replies_follow_each_other_on_one_connection(server, file):
    with server.wire() as wire:
        for _ in range(3):
            wire.get(target("buffered", file)).get(target("memory", file)).get("/hello")
        for _ in range(3):
            assert wire.reply().body == file.read_bytes()
            assert wire.reply().body == file.read_bytes()
            assert int(wire.reply().text) > 0


@pytest.fixture
def large(tmp_path):
    """A file that no socket's buffers hold, and its digest."""
    block, path = os.urandom(MEGABYTE), tmp_path / "large"
    with path.open("wb") as stream:
        for _ in range(48):
            stream.write(block)
    return path, hashlib.sha256(block * 48).hexdigest()


@tapster  # a thread of gunicorn's waits for the client
def test_a_slow_client_holds_neither_the_application_nor_its_file_nor_memory(server, large):
    path, digest = large
    with server.wire(timeout=20) as wire:
        server.get("/hello")
        before = peak(server)
        wire.get(target("buffered", path, name="slow"))
        assert wire.socket.recv(1, 2)
        # There is one thread for requests, and it serves this one.
        wait_until(lambda: closed(server, "slow") == 1, what="the application is done with it")
        assert peak(server) < before + 16 * MEGABYTE
        reply = wire.reply()
        assert hashlib.sha256(reply.body).hexdigest() == digest
        wire.expect_open()


def peak(server):
    """The most memory that the one worker ever had, in bytes."""
    status = Path(f"/proc/{server.live()[0].pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@tapster
def test_a_client_that_leaves_in_the_midst_of_a_file_leaves_nothing_open(server, large):
    path, _ = large
    pid = server.live()[0].pid
    before = len(open_files(pid))
    for number in range(5):
        with server.wire() as wire:
            wire.get(target("buffered", path, name=f"left-{number}"))
            assert wire.socket.recv(1)
            wire.reset()
    wait_until(lambda: all(closed(server, f"left-{number}") == 1 for number in range(5)), what="close() called once")
    wait_until(lambda: len(open_files(pid)) <= before, what=lambda: f"{before} open files: {open_files(pid)}")


@tapster
def test_a_file_that_shrinks_while_it_is_sent_breaks_the_connection(server, large):
    path, _ = large
    with server.wire() as wire:
        wire.get(target("buffered", path, name="shrinks"))
        assert wire.socket.recv(1, 2)
        wait_until(lambda: closed(server, "shrinks") == 1, what="the application is done with it")
        os.truncate(path, 100)
        with pytest.raises(Truncated):
            wire.reply()
    server.wait_log(r"the file that was being sent for the request GET /buffered\?path=\S+&name=shrinks became shorter")
    assert server.get("/hello").status == 200
