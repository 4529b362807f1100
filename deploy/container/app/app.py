"""The example application of the image: says who answers."""

import os
import platform


def app(environ, start_response):
    body = f"Hello from process {os.getpid()} on Python {platform.python_version()}.\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
