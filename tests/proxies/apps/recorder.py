"""An application that writes down each request that reaches it, and answers with what it saw."""

import json
import os
from urllib.parse import quote

_FILE = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def record(method, target, ids, body, connection):
    """Appends a request to the record, and returns the reply's header fields and body, which say the same.

    `ids` is what stands in the header field of the front's id, `connection` names the connection that it came on.
    """
    seen = {"method": method, "target": target, "ids": ids, "body": body.decode("latin-1"), "connection": connection}
    line = json.dumps(seen).encode() + b"\n"
    assert os.write(_FILE, line) == len(line)
    fields = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(line))),
        ("X-Seen", f"{quote(method)} {quote(target, safe='/?=&')}"),
    ]
    return fields, line


def application(environ, start_response):
    """Records any request."""
    fields, line = record(
        environ["REQUEST_METHOD"],
        environ["RAW_URI"],
        environ.get("HTTP_X_FRONT_ID"),
        environ["wsgi.input"].read(),
        environ.get("REMOTE_PORT"),
    )
    start_response("200 OK", fields)
    return [line]
