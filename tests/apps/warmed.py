"""An application that writes down every request in the file that the variable WARMED names, a line of JSON each."""

import json
import os
import time

PLAIN = (str, int, bool, float, tuple)


def note(what, **details):
    with open(os.environ["WARMED"], "a") as file:
        file.write(json.dumps({"what": what, "pid": os.getpid(), **details}) + "\n")


note("imported")


class Closing:
    """A body that writes down that it was closed."""

    def __init__(self, blocks):
        self.blocks = iter(blocks)

    def __iter__(self):
        return self.blocks

    def close(self):
        note("closed")


def fail():
    raise RuntimeError("cold as ice")


def breaks_off():
    yield b"some"
    fail()


def application(environ, start_response):
    path = environ["PATH_INFO"]
    plain = {key: value for key, value in environ.items() if isinstance(value, PLAIN)}
    note(path, warmup=environ.get("tapster.warmup", False), environ=plain, input=environ["wsgi.input"].read().decode())
    statuses = {"/post_only": "405 Method Not Allowed", "/moved": "302 Found", "/unavailable": "503 Service Unavailable"}
    if path == "/complains":
        print("a word from the cold", file=environ["wsgi.errors"])
    if path == "/raises":
        fail()
    if path == "/hangs":
        time.sleep(3600)
    if path == "/hinted":
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
    write = start_response(statuses.get(path, "200 OK"), [("Content-Type", "text/plain")])
    if path == "/written":
        write(b"written " * 1_000_000)
        return []
    if path == "/closed":
        return Closing([b"one", b"", b"two"])
    if path == "/breaks_off":
        return Closing(breaks_off())
    if path == "/text":
        return ["text"]
    if path == "/file":
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    return [b"%d" % os.getpid()]
