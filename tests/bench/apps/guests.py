"""The app of the crowds: it reads what it is sent, and has one reply too large for any socket's buffers."""

_SMALL = b"Hello, World!"
#: A kernel on loopback takes up to `net.ipv4.tcp_wmem`'s third figure off a server's hands: 4 MiB by default.
_LARGE = b"x" * (4 * 1024 * 1024 + 64 * 1024)


def app(environ, start_response):
    environ["wsgi.input"].read()
    body = _LARGE if environ["PATH_INFO"] == "/large" else _SMALL
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
