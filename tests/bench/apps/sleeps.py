"""An app that waits, as apps wait for a database: 10 ms on each route but `/long`, which takes 2 s, and `/fast`."""

import time

_SECONDS = {"/fast": 0.0, "/long": 2.0}


def app(environ, start_response):
    seconds = _SECONDS.get(environ["PATH_INFO"], 0.010)
    if seconds:
        time.sleep(seconds)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]
