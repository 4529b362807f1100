"""The rows, by area. An area is played in one process, so that those with most rows and settings stand apart."""

from . import (
    answers,
    chunked,
    connection,
    deadlines,
    fields,
    forwarded,
    framing,
    proxies,
    proxy_protocol,
    request_line,
    targets,
)

AREAS = {
    "request-line": request_line.ROWS,
    "targets": targets.ROWS,
    "fields": fields.ROWS,
    "framing": framing.ROWS,
    "chunked": chunked.ROWS,
    "connection": connection.ROWS,
    "deadlines": deadlines.ROWS,
    "replies": answers.ROWS,
    "behind-a-proxy": proxies.ROWS,
    "forwarded": forwarded.ROWS,
    "PROXY-protocol": proxy_protocol.ROWS,
}
