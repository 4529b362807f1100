"""The environ that an application gets, and wsgi.input in each way it can be read."""

import json

import pytest

from harness import APPS, UNDER_TEST, run_tapster
from harness.interpreters import on_every_interpreter
from harness.ports import free_port

tapster = pytest.mark.tapster


@pytest.fixture(scope="module", params=on_every_interpreter("environ"))
def server(request, serve_module):
    """One worker with the conformance application, shared by the tests of one CPython."""
    request.param.require()
    return serve_module("conformance:application", "--keep-alive", "30", interpreter=request.param)


def environ(server, target="/environ", *fields, method="GET"):
    """The environ that a request leads to."""
    with server.wire() as wire:
        reply = wire.exchange(target, *fields, method=method)
    assert reply.status == 200, reply
    return reply.json


def test_it_is_a_plain_dict_with_all_that_the_pep_requires(server):
    host, port = server.address
    found = environ(server, "/environ/x?a=1&b=%20")
    assert found["type(environ)"] == "dict"
    assert found["REQUEST_METHOD"] == "GET"
    assert found["SCRIPT_NAME"] == ""
    assert found["PATH_INFO"] == "/environ/x"
    assert found["QUERY_STRING"] == "a=1&b=%20"
    assert found["SERVER_NAME"] == host
    assert found["SERVER_PORT"] == str(port)
    assert found["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert found["REMOTE_ADDR"] == "127.0.0.1"
    assert found["REMOTE_PORT"].isdigit()
    assert found["HTTP_HOST"] == "test.example"
    assert found["RAW_URI"] == "/environ/x?a=1&b=%20"
    assert found["SERVER_SOFTWARE"]


def test_the_wsgi_keys_are_of_the_types_that_frameworks_test_for(server):
    found = environ(server)
    assert found["wsgi.version"] == ["tuple", "(1, 0)"]
    assert found["wsgi.url_scheme"] == "http"
    assert found["wsgi.multithread"] == ["bool", str(UNDER_TEST == "gunicorn")]
    assert found["wsgi.multiprocess"] == ["bool", "False"]
    assert found["wsgi.run_once"] == ["bool", "False"]
    assert found["wsgi.input_terminated"] == ["bool", "True"]
    for key in ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper"):
        assert key in found


def test_a_request_without_body_has_no_content_type_and_no_length(server):
    found = environ(server)
    assert found.get("CONTENT_LENGTH", "") in ("", "0")
    assert found.get("CONTENT_TYPE", "") == ""
    assert "HTTP_CONTENT_LENGTH" not in found and "HTTP_CONTENT_TYPE" not in found


def test_content_type_and_length_stand_without_the_http_prefix(server):
    found = server.request("POST", "/environ", b"12345", {"Content-Type": "text/x-odd; a=b"}).json
    assert (found["CONTENT_TYPE"], found["CONTENT_LENGTH"]) == ("text/x-odd; a=b", "5")
    assert "HTTP_CONTENT_LENGTH" not in found and "HTTP_CONTENT_TYPE" not in found


def test_repeated_headers_are_joined_in_order(server):
    found = environ(server, "/environ", "X-Many: one", "Accept: a", "X-Many: two", "Accept: b")
    assert found["HTTP_X_MANY"].replace(", ", ",") == "one,two"
    assert found["HTTP_ACCEPT"].replace(", ", ",") == "a,b"


def test_repeated_cookies_are_joined_so_that_a_cookie_parser_understands(server):
    found = environ(server, "/environ", "Cookie: a=1", "Cookie: b=2")
    assert found["HTTP_COOKIE"].replace(" ", "") in ("a=1;b=2", "a=1,b=2")


def test_a_header_with_an_underscore_cannot_pass_for_one_with_a_dash(server):
    found = environ(server, "/environ", "X_Real_User: mallory", "X-Real-User: alice")
    assert found["HTTP_X_REAL_USER"] == "alice"


@tapster
def test_after_a_stranger_has_invented_names_no_spelling_is_taken_for_another(serve):
    server = serve("conformance:application")
    with server.wire() as wire:
        for part in range(12):
            invented = [f"X-Invented-{part}-{number}: x" for number in range(60)]
            found = wire.exchange("/environ", *invented).json
            assert sum(key.startswith("HTTP_X_INVENTED_") for key in found) == 60
        wire.send(b"POST /environ HTTP/1.1\r\nhOST: a\r\ncONTENT-lENGTH: 5\r\n\r\n12345")
        assert wire.reply().json["CONTENT_LENGTH"] == "5"
        wire.send(b"POST /environ HTTP/1.1\r\nhOST: a\r\ntRANSFER-eNCODING: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n")
        found = wire.reply().json
        assert found["CONTENT_LENGTH"] == "5" and "HTTP_TRANSFER_ENCODING" not in found
        found = wire.exchange("/environ", "X-fORWARDED-fOR: one", "X-Forwarded-For: two", "x-forwarded-for: three").json
        assert found["HTTP_X_FORWARDED_FOR"] == "one,two,three"


@tapster
@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("Host: a.example:81", "a.example", "81"),
        ("Host: a.example", "a.example", "80"),
        ("Host: a.example:", "a.example", "80"),
        ("Host:", "localhost", "80"),
        ("Host: [::1]", "[::1]", "80"),
        ("X-Host: none", "localhost", "80"),
    ],
)
def test_server_name_and_port_are_never_empty_on_a_unix_socket(server_on_a_path, host, name, port):
    with server_on_a_path.wire() as wire:
        wire.send(f"GET /environ HTTP/1.0\r\n{host}\r\n\r\n")
        found = wire.reply().json
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == (name, port)


@pytest.fixture(scope="module")
def server_on_a_path(serve_module, tmp_path_factory):
    """A server on a Unix socket."""
    return serve_module("conformance:application", bind=f"unix:{tmp_path_factory.mktemp('socket')}/s.sock")


def test_header_values_are_latin_1_strings(server):
    with server.wire() as wire:
        wire.send(b"GET /environ HTTP/1.1\r\nHost: a\r\nX-Latin: caf\xe9\r\nX-Utf: \xe2\x9c\x93\r\n\r\n")
        found = wire.reply().json
    assert found["HTTP_X_LATIN"] == "caf\xe9"
    assert found["HTTP_X_UTF"] == "\xe2\x9c\x93"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/environ/a%20b%2Fc", "/environ/a b/c"),
        ("/environ/caf%C3%A9", "/environ/caf\xc3\xa9"),
        ("/environ/%E9", "/environ/\xe9"),
        ("/environ/100%", "/environ/100%"),
        ("/environ/%zz", "/environ/%zz"),
        ("/environ/a+b", "/environ/a+b"),
        ("/environ/a//b/../c/.", "/environ/a//b/../c/."),
        ("/environ/;p=1", "/environ/;p=1"),
    ],
)
def test_the_path_is_percent_decoded_into_latin_1_and_left_alone_otherwise(server, target, path):
    assert environ(server, target)["PATH_INFO"] == path


def test_the_query_is_left_as_it_came(server):
    found = environ(server, "/environ?%C3%A9=%2B&&x=?y=/")
    assert found["QUERY_STRING"] == "%C3%A9=%2B&&x=?y=/"


def test_an_absolute_target_leads_to_its_path(server):
    found = environ(server, "http://other.example/environ/abs?q=1")
    assert (found["PATH_INFO"], found["QUERY_STRING"]) == ("/environ/abs", "q=1")


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "PUT", "OPTIONS", "PROPFIND", "M-SEARCH"])
def test_any_method_that_is_a_token_reaches_the_application(server, method):
    assert environ(server, method=method)["REQUEST_METHOD"] == method


def test_what_one_request_puts_into_the_environ_the_next_does_not_see(server):
    with server.wire() as wire:
        first, second = wire.exchange("/environ").json, wire.exchange("/environ").json
    assert "mutated.by.application" not in second
    assert {k: v for k, v in first.items() if type(v) is str} == {k: v for k, v in second.items() if type(v) is str}


@tapster
def test_an_application_may_empty_the_environ(server):
    with server.wire() as wire:
        assert wire.exchange("/environ-clear").body == b"cleared"
        wire.expect_open()


def test_a_header_of_one_request_is_not_seen_by_the_next(server):
    with server.wire() as wire:
        assert wire.exchange("/environ", "X-Once: yes").json["HTTP_X_ONCE"] == "yes"
        assert "HTTP_X_ONCE" not in wire.exchange("/environ").json


def test_multiprocess_is_true_with_two_workers(serve):
    assert serve("conformance:application", workers=2).get("/environ").json["wsgi.multiprocess"] == ["bool", "True"]


BODY = b"first line\nsecond\n\nfourth is without end"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("calls", "results"),
    [
        ("read()", [BODY.decode()]),
        ("read(-1)", [BODY.decode()]),
        ("read(5);read(0);read(6);read()", ["first", "", " line\n", "second\n\nfourth is without end"]),
        ("read(10000);read(1);read();readline()", [BODY.decode(), "", "", ""]),
        ("readline();readline();readline();readline();readline()", [*BODY.decode().splitlines(True), ""]),
        ("readline(3);readline(100);readline(0);readline(-1)", ["fir", "st line\n", "", "second\n"]),
        ("readlines()", [BODY.decode().splitlines(True)]),
        ("readlines(12);readlines()", [["first line\n", "second\n"], ["\n", "fourth is without end"]]),
        ("readline();read(3);readline();readlines()", ["first line\n", "sec", "ond\n", ["\n", "fourth is without end"]]),
    ],
)
def test_input_can_be_read_in_every_way(server, calls, results, chunked):
    body = iter([BODY[:7], BODY[7:]]) if chunked else BODY
    headers = {"Transfer-Encoding": "chunked"} if chunked else {}
    reply = server.request("POST", f"/input?{calls}", body, headers)
    found = json.loads(reply.body)
    if "readlines(12)" in calls:
        # The hint is a hint: how many lines come first is the server's own choice.
        assert [line for lines in found for line in lines] == [line for lines in results for line in lines]
    else:
        assert found == results


def test_input_can_be_iterated_line_by_line(server):
    assert json.loads(server.request("POST", "/input?iterate", BODY).body) == BODY.decode().splitlines(True)


def test_input_without_a_body_is_empty_and_never_waits(server):
    assert json.loads(server.get("/input?read();read(1);readline();readlines()").body) == ["", "", "", []]


@tapster
def test_a_chunked_body_has_its_length_known(server):
    found = server.request("POST", "/environ", iter([b"abc", b"defg"]), {"Transfer-Encoding": "chunked"}).json
    assert found["CONTENT_LENGTH"] == "7"
    assert "HTTP_TRANSFER_ENCODING" not in found


# An application that is mounted below the root.


@pytest.mark.parametrize("mount_point", ["/app", "/app/"])
def test_script_name_in_the_environment_is_taken_off_the_path(serve, mount_point):
    server = serve("conformance:application", env={"SCRIPT_NAME": mount_point})
    for target, path in (("/app/environ?q", "/environ"), ("/app/e%20x", "/e x"), ("/app/environ/app", "/environ/app")):
        found = environ(server, target)
        assert (found["SCRIPT_NAME"], found["PATH_INFO"], found["RAW_URI"]) == ("/app", path, target)


@tapster
def test_a_path_outside_the_mount_point_gets_a_500_and_never_reaches_the_application(serve):
    server = serve("conformance:application", env={"SCRIPT_NAME": "/app"})
    for target in ("/environ", "/apple/environ", "/App/environ", "/"):
        with server.wire() as wire:
            reply = wire.exchange(target)
            assert (reply.status, reply.header("connection")) == (500, "close"), target
            assert reply.text.startswith("500 "), reply
            wire.expect_closed()
    assert server.stop() == 0
    server.wait_log(r"refused requests .*: 4 \(script_name_invalid 4\)")


@tapster
@pytest.mark.parametrize("reuse", [[], ["--preload"]], ids=["no_preload", "preload"])
def test_a_mount_point_without_a_slash_fails_the_boot_and_says_why(tmp_path, python, reuse):
    options = ["--python", python, "--pythonpath", APPS, "--bind", f"127.0.0.1:{free_port()}", *reuse]
    done = run_tapster(*options, "conformance:application", cwd=tmp_path, env={"SCRIPT_NAME": "app"})
    assert done.returncode == 1, done.stderr
    for word in ("SCRIPT_NAME", '"app"', "slash", "/app"):
        assert word in done.stderr, done.stderr
    assert "Worker ready" not in done.stderr


@tapster
def test_the_prefix_of_a_believed_proxy_stands_before_the_mount_point(serve):
    options = ["--trusted-proxy-headers", "x-forwarded-prefix"]
    server = serve("conformance:application", *options, env={"SCRIPT_NAME": "/app"})
    for prefix, script_name in (("/outer", "/outer/app"), ("/a%20b", "/a b/app"), ("/", "/app"), (None, "/app")):
        fields = [f"X-Forwarded-Prefix: {prefix}"] if prefix else []
        found = environ(server, "/app/environ", *fields)
        assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == (script_name, "/environ"), prefix
