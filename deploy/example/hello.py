"""The smallest application: what the README serves."""

import os


def app(environ, start_response):
    body = f"Hello from worker {os.getpid()}: you asked for {environ['PATH_INFO']}\n".encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain; charset=latin-1")])
    return [body]
