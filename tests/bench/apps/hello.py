"""The smallest honest WSGI app: one status, two headers, thirteen bytes."""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]
