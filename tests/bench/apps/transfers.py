"""Large bodies: `/upload` reads what it is sent and tells its length, `/download` sends 1 MiB, `/file` a whole file."""

import os

_MIB = b"x" * 1024 * 1024
_BLOCK = 64 * 1024
_FILE = os.environ.get("BENCH_FILE", "")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/file":
        return _file(environ, start_response)
    body = _MIB
    if path == "/upload":
        body = str(len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))).encode()
    _begin(start_response, len(body))
    return [body]


def _file(environ, start_response):
    file = open(_FILE, "rb")
    _begin(start_response, os.fstat(file.fileno()).st_size)
    # As frameworks do it: by the server where it can, else block by block.
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](file, _BLOCK)
    return iter(lambda: file.read(_BLOCK), b"")


def _begin(start_response, length):
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(length))])
