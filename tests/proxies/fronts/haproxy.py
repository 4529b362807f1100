"""HAProxy: every connection to the backend is anybody's."""

import re

from .front import ID_FIELD, Front


class HAProxy(Front):
    """`buffering`: whether it waits for a request's body. `lax` passes on heads that it refuses by default. `server` is
    added to the backend's line (as send-proxy), `checks` to the lines above it, `more` to the frontend."""

    PROGRAM = "haproxy"
    ESCAPED = re.compile("#([0-9A-F]{2})")

    def __init__(self, backend, folder, **variant):
        super().__init__(backend, folder, **variant)
        self.access_log = self.output

    def arguments(self, path):
        return ["-db", "-f", path]

    def configuration(self):
        where = f"unix@{self.backend}" if isinstance(self.backend, str) else "{}:{}".format(*self.backend)
        options = []
        if self.variant.get("buffering"):
            options.append("option http-buffer-request")
        if self.variant.get("lax"):
            options += ["option accept-invalid-http-request", "option http-restrict-req-hdr-names preserve"]
        return f"""
global
    nbthread 1
    tune.http.logurilen 16384
    log stdout len 16384 format raw daemon
defaults
    mode http
    log global
    option log-health-checks
    retries 0
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout http-request 20s
    http-reuse always
frontend front
    bind 127.0.0.1:{self.port}
    unique-id-format {self.secret}%[uuid]
    http-request set-header {ID_FIELD} %[unique-id]
    log-format "%ID\t%ST\t%HM\t%HU"
    {chr(10).join(f"    {line}" for line in [*options, self.variant.get("more", "")]).strip()}
    default_backend back
backend back
    {self.variant.get("checks", "")}
    server app {where} {self.variant.get("server", "")}
"""

    def parse(self, line):
        return super().parse(line) if line.startswith(self.secret) else None
