"""Requests as an application's user makes them, over the standard library's client, and a browser that keeps cookies."""

import http.client
import json as json_module
import re
import socket
import uuid
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode


@dataclass
class Reply:
    """What a server answered."""

    status: int
    reason: str
    headers: list
    body: bytes = b""
    version: str = "1.1"

    def fields(self, name):
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        """The only value of a header, or None; more than one is a failure."""
        values = self.fields(name)
        assert len(values) <= 1, f"{name} more than once: {values}"
        return values[0] if values else None

    @property
    def text(self):
        """The body as UTF-8 text."""
        return self.body.decode()

    @property
    def json(self):
        """The body read as JSON."""
        return json_module.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def request(address, method, path, body=None, headers=None, timeout=10.0):
    """One request on a connection of its own, which is closed after the reply."""
    if isinstance(address, str):
        connection = _UnixConnection(address, timeout)
    else:
        connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        sent = {"Connection": "close", **(headers or {})}
        connection.request(method, path, body=body, headers=sent, encode_chunked="Transfer-Encoding" in sent)
        answer = connection.getresponse()
        data = answer.read()
        version = {10: "1.0", 11: "1.1"}[answer.version]
        return Reply(answer.status, answer.reason, answer.getheaders(), data, version)
    finally:
        connection.close()


@dataclass
class Browser:
    """A client that keeps cookies and can fill in forms with a CSRF token in them."""

    address: tuple
    cookies: dict = field(default_factory=dict)

    def request(self, method, path, body=None, headers=None):
        """One request with the cookies; those of the reply are kept. Redirects are not followed."""
        sent = dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        reply = request(self.address, method, path, body, sent)
        for line in reply.fields("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return reply

    def get(self, path):
        """GETs a page."""
        return self.request("GET", path)

    def submit(self, path, values, files=None):
        """GETs the form at a path, then posts it with its CSRF token, as multipart where it has files."""
        page = self.get(path)
        assert page.status == 200, (path, page.status, page.body[:500])
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, f"no CSRF token in the form at {path}"
        fields = {"csrfmiddlewaretoken": token[1], **values}
        if files:
            body, kind = multipart(fields, files)
        else:
            body, kind = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        return self.request("POST", path, body, {"Content-Type": kind})


def multipart(fields, files):
    """A multipart/form-data body and its content type. Files are name -> (file name, bytes)."""
    boundary = uuid.uuid4().hex
    parts = []
    for name, value in fields.items():
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for name, (filename, data) in files.items():
        disposition = f'form-data; name="{name}"; filename="{filename}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
        parts.append(head.encode() + data + b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"
