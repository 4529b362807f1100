"""The ordinary things, behind real proxies: requests and bodies of all kinds, kept connections, who the client is."""

import hashlib
import http.client
import json

import pytest
from fronts import Apache, HAProxy, Nginx, needs

from harness import Truncated, wait_until

MEGABYTE = 1 << 20
#: A client's address that is not the proxy's own.
CLIENT = "127.0.0.9"

#: Each kind of front: its class and variant, and whether it speaks to the server over a Unix socket.
FRONTS = {
    "nginx": (Nginx, {}, False),
    "nginx-unbuffered": (Nginx, {"buffering": False, "more": "proxy_buffering off;"}, False),
    "nginx-unix": (Nginx, {}, True),
    "haproxy": (HAProxy, {}, False),
    "haproxy-unix": (HAProxy, {"buffering": True}, True),
    "apache": (Apache, {}, False),
}
#: How each front is told to say that its client came by HTTPS.
SAYS_HTTPS = {
    Nginx: "proxy_set_header X-Forwarded-Proto https;",
    HAProxy: "http-request set-header X-Forwarded-Proto https",
    Apache: "RequestHeader set X-Forwarded-Proto https",
}
#: How each front is told to say who its client is. Apache does so by itself.
SAYS_FOR = {
    Nginx: "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    HAProxy: "option forwardfor",
    Apache: "",
}
KINDS = [pytest.param(kind, id=kind.__name__, marks=needs(kind.PROGRAM)) for kind in SAYS_HTTPS]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.xdist_group(f"behind-{kind.PROGRAM}"), needs(kind.PROGRAM)])
        for name, (kind, *_) in FRONTS.items()
    ],
)
def front(request, serve_module, tmp_path_factory):
    """A front before a server with the conformance application."""
    kind, variant, unix = FRONTS[request.param]
    folder = tmp_path_factory.mktemp("front")
    bind = {"bind": f"unix:{folder}/app.sock"} if unix else {}
    server = serve_module("conformance:application", "--keep-alive", "60", **bind)
    with kind(server.address, folder, **variant) as front:
        yield front


@pytest.fixture
def start_front(tmp_path):
    """Starts fronts of the test's own, and ends them with it."""
    fronts = []

    def start(kind, backend, **variant):
        folder = tmp_path / f"front-{len(fronts)}"
        fronts.append(kind(backend, folder, **variant))
        return fronts[-1].__enter__()

    yield start
    for each in fronts:
        each.close()


def ask_from(source, front, path="/environ", headers=None):
    """GETs the environ as a client of that address; returns it with the client's port, or a status that is not 200."""
    connection = http.client.HTTPConnection(*front.address, timeout=10, source_address=(source, 0))
    try:
        connection.request("GET", path, headers=headers or {})
        port = str(connection.sock.getsockname()[1])
        reply = connection.getresponse()
        data = reply.read()
        return (json.loads(data), port) if reply.status == 200 else reply.status
    finally:
        connection.close()


# Requests and replies.


def test_get_arrives_as_it_was_sent(front):
    environ = front.get("/environ/caf%C3%A9%2Fx?a=1&b=%20", {"X-Own": "value"}).json
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["PATH_INFO"] == "/environ/caf\xc3\xa9/x"
    assert environ["QUERY_STRING"] == "a=1&b=%20"
    assert environ["HTTP_HOST"] == f"127.0.0.1:{front.port}"
    assert environ["HTTP_X_OWN"] == "value"
    assert environ["wsgi.url_scheme"] == "http"


def test_post_arrives_with_its_body(front):
    assert front.request("POST", "/input?echo", b"name=value").body == b"name=value"


def test_chunked_body_arrives_whole(front):
    pieces = [b"first,", b"x" * 70_000, b",last"]
    reply = front.request("POST", "/input?echo", iter(pieces), {"Transfer-Encoding": "chunked"})
    assert reply.body == b"".join(pieces)


def test_large_body_arrives_whole(front):
    body = bytes(range(256)) * (8 * MEGABYTE // 256)
    assert front.request("PUT", "/input?digest", body).text == hashlib.sha256(body).hexdigest()


@pytest.mark.tapster
def test_body_that_the_application_does_not_read_is_in_nobodys_way(front):
    with front.wire() as wire:
        for _ in range(3):
            wire.send(b"POST /input?ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000)
            assert wire.reply().body == b"ignored"
    assert front.get("/hello").body == b"hello"


def test_expectation_is_met(front):
    with front.wire() as wire:
        wire.send("POST /input?echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert wire.reply().status == 100
        wire.send("body")
        assert wire.final_reply().body == b"body"


def test_large_reply_arrives_whole(front):
    size = 8 * MEGABYTE
    body = front.get(f"/big?{size}").body
    assert len(body) == size
    assert body == b"".join(bytes([left % 251]) * 65536 for left in range(size, 0, -65536))


def test_reply_that_breaks_off_is_seen_to_be_broken(front):
    for path in ("/raise-midstream", "/raise-midstream-with-length"):
        with front.wire() as wire:
            try:
                reply = wire.exchange(path)
            except Truncated as truncated:
                reply = truncated.reply
                assert reply is None or b"partial".startswith(reply.body)
            else:
                assert reply.status == 502, reply


def test_replies_without_a_body_end_with_their_head(front):
    with front.wire() as wire:
        assert wire.exchange("/length?5,5", method="HEAD").header("content-length") == "5"
        for status in ("204+No+Content", "304+Not+Modified"):
            reply = wire.exchange(f"/status?{status}")
            assert (reply.status, reply.body) == (int(status[:3]), b"")
        wire.expect_open()


def test_error_of_the_application_is_passed_on(front):
    assert front.get("/raise-before").status == 500
    assert front.get("/hello").status == 200


# Connections.


def test_connection_to_the_server_is_used_again(front):
    if isinstance(front.backend, str):
        pytest.skip("a Unix socket's clients have no ports to tell connections apart by")
    front.get("/hello")
    ports = {front.get("/environ").json["REMOTE_PORT"] for _ in range(10)}
    assert len(ports) <= 2, f"10 requests one after the other came on {len(ports)} connections"


def test_client_keeps_its_connection(front):
    with front.wire() as wire:
        for number in range(20):
            assert wire.exchange(f"/environ/{number}").json["PATH_INFO"] == f"/environ/{number}"
        wire.expect_open()


# Early hints.


@needs("nginx")
@pytest.mark.tapster
def test_nginx_that_knows_no_early_hints_passes_the_reply_where_they_are_off(serve, start_front):
    server = serve("hints:application", "--no-early-hints", "--keep-alive", "60")
    front = start_front(Nginx, server.address)
    with front.wire() as wire:
        for _ in range(3):
            assert wire.exchange("/if-offered").body == b"not offered"


@needs("nginx")
def test_nginx_that_speaks_http_1_0_gets_the_reply_without_hints(serve, start_front):
    server = serve("hints:application")
    front = start_front(Nginx, server.address, version="1.0")
    with front.wire() as wire:
        assert wire.exchange("/if-offered").body == b"offered"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.values[0] is not Nginx])
def test_early_hints_are_followed_by_the_reply(serve, start_front, kind):
    server = serve("hints:application", "--keep-alive", "60")
    front = start_front(kind, server.address)
    with front.wire() as wire:
        for _ in range(3):
            assert wire.get("/if-offered").final_reply().body == b"offered"


# Who the client is, and how it came.


@pytest.mark.parametrize("kind", KINDS)
def test_scheme_is_what_the_proxy_says(serve, start_front, kind):
    server = serve("conformance:application")
    front = start_front(kind, server.address, more=SAYS_HTTPS[kind])
    assert front.get("/environ").json["wsgi.url_scheme"] == "https"
    assert front.get("/environ", {"X-Forwarded-Proto": "http"}).json["wsgi.url_scheme"] == "https"


@pytest.mark.parametrize("kind", KINDS)
def test_scheme_of_a_proxy_that_is_not_believed_is_not(serve, start_front, kind):
    server = serve("conformance:application", "--forwarded-allow-ips", "192.0.2.1")
    front = start_front(kind, server.address, more=SAYS_HTTPS[kind])
    assert front.get("/environ").json["wsgi.url_scheme"] == "http"


@pytest.mark.tapster
@pytest.mark.parametrize("kind", KINDS)
def test_client_is_whom_the_proxy_names_whatever_the_client_says(serve, start_front, kind):
    server = serve("conformance:application", "--trusted-proxy-headers", "x-forwarded-for")
    front = start_front(kind, server.address, more=SAYS_FOR[kind])
    for forged in ({}, {"X-Forwarded-For": "192.0.2.7"}, {"x-forwarded-for": "192.0.2.7, 127.0.0.1"}):
        environ, _ = ask_from(CLIENT, front, headers=forged)
        assert environ["REMOTE_ADDR"] == CLIENT, (forged, environ)


# The PROXY protocol, as HAProxy speaks it.


SENT_BY = {"v1": "send-proxy", "v2": "send-proxy-v2"}
behind_haproxy = needs("haproxy")
each_version = pytest.mark.parametrize("version", SENT_BY)


@behind_haproxy
@each_version
@pytest.mark.parametrize("mode", ["same", "auto"])
def test_proxy_protocol_tells_each_clients_address(serve, start_front, version, mode):
    server = serve("conformance:application", "--proxy-protocol", version if mode == "same" else "auto")
    front = start_front(HAProxy, server.address, server=SENT_BY[version])
    for source in (CLIENT, "127.0.0.10", CLIENT):
        environ, port = ask_from(source, front)
        assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == (source, port)


@behind_haproxy
@pytest.mark.tapster
@each_version
def test_proxy_protocol_goes_before_all_kept_requests_of_a_connection(serve, start_front, version):
    server = serve("conformance:application", "--proxy-protocol", version, "--keep-alive", "60")
    front = start_front(HAProxy, server.address, server=SENT_BY[version])
    with front.wire() as wire:
        ports = {wire.exchange("/environ").json["REMOTE_PORT"] for _ in range(5)}
        assert ports == {str(wire.socket.getsockname()[1])}


@behind_haproxy
@each_version
def test_proxy_protocol_over_a_unix_socket(serve, start_front, tmp_path, version):
    server = serve("conformance:application", "--proxy-protocol", version, bind=f"unix:{tmp_path}/app.sock")
    front = start_front(HAProxy, server.address, server=SENT_BY[version])
    environ, _ = ask_from(CLIENT, front)
    assert environ["REMOTE_ADDR"] == CLIENT


@behind_haproxy
@each_version
def test_health_checks_by_proxy_protocol_succeed(serve, start_front, version):
    server = serve("conformance:application", "--proxy-protocol", version)
    check = f"{SENT_BY[version]} check check-send-proxy inter 100ms fall 1"
    front = start_front(HAProxy, server.address, server=check, checks="option httpchk GET /hello")
    wait_until(lambda: "Layer7 check passed" in front.tail() or "DOWN" in front.tail(), 10, front.tail)
    environ, _ = ask_from(CLIENT, front)
    assert environ["REMOTE_ADDR"] == CLIENT
    assert "DOWN" not in front.tail()


@behind_haproxy
@pytest.mark.parametrize(("mode", "version"), [("v1", "v2"), ("v2", "v1"), ("off", "v1"), ("off", "v2")])
def test_proxy_protocol_of_another_version_is_refused(serve, start_front, mode, version):
    server = serve("conformance:application", "--proxy-protocol", mode)
    front = start_front(HAProxy, server.address, server=SENT_BY[version])
    assert ask_from(CLIENT, front) in (400, 502)


@behind_haproxy
@each_version
def test_proxy_protocol_of_a_proxy_that_is_not_allowed_is_refused(serve, start_front, version):
    server = serve("conformance:application", "--proxy-protocol", "auto", "--proxy-allow-from", "192.0.2.0/24")
    front = start_front(HAProxy, server.address, server=SENT_BY[version])
    assert ask_from(CLIENT, front) in (400, 403, 502)


@behind_haproxy
@pytest.mark.tapster
def test_connection_without_the_proxy_protocol_is_refused_where_it_is_required(serve, start_front):
    server = serve("conformance:application", "--proxy-protocol", "auto")
    front = start_front(HAProxy, server.address)
    assert ask_from(CLIENT, front) in (400, 502)
