"""An application that signs its answers: whose request, how much of a body it had, which version, which process.

`/SERIAL?MILLISECONDS,SIZE` sleeps so long and answers so many bytes; a third value is a file that it makes before. The exact
client of the harness asks for it; a deploy is a file of two lines: `from numbered import signed` and
`application = signed("3")`.
"""

import os
import time


def signed(version):
    """The application as of that version."""

    def application(environ, start_response):
        serial = environ["PATH_INFO"].strip("/")
        sleep_ms, size, *begun = environ["QUERY_STRING"].split(",")
        uploaded = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        for path in begun:
            open(path, "w").close()
        time.sleep(int(sleep_ms) / 1000)
        body = f"{serial} {uploaded} {version} {os.getpid()}\n".encode().ljust(int(size), b".")
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        # Two blocks, so that a reply can be cut in the middle.
        return [body[:60], body[60:]]

    return application


application = signed("1")
