"""The environ's variables: which there are, of what type, with what in them."""

import re

from harness import ROOT

from ..rule import Area, NotAsked, demand, demand_equal

AREA = Area()
rule = AREA.rule

#: RFC 3875 and its drafts, but for those that are made from header fields.
CGI = {
    "AUTH_TYPE",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "GATEWAY_INTERFACE",
    "PATH_INFO",
    "PATH_TRANSLATED",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_IDENT",
    "REMOTE_USER",
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
}
#: What Apache httpd gives its CGI programs beside them, so that their names are everybody's.
APACHE = {
    "DOCUMENT_ROOT",
    "HTTPS",
    "REMOTE_PORT",
    "REQUEST_SCHEME",
    "REQUEST_URI",
    "SCRIPT_FILENAME",
    "SERVER_ADDR",
}
WSGI = (
    "wsgi.version",
    "wsgi.url_scheme",
    "wsgi.input",
    "wsgi.errors",
    "wsgi.multithread",
    "wsgi.multiprocess",
    "wsgi.run_once",
)


def seen(ask, target="/environ", *fields, method="GET", version="HTTP/1.1", body=""):
    """The environ of a request, as the application reported it."""
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {target} {version}", "Host: test.example", *length, *fields, "", body]
    with ask.wire() as wire:
        reply = wire.send("\r\n".join(lines)).reply(method)
    if reply.status == 400:
        raise NotAsked("it refuses such a request with 400, as HTTP lets it")
    return ask.seen(reply)


def value(found, key):
    """A variable's value; empty where it is left out, which is the same."""
    return found["keys"].get(key, ["str", ""])[1]


def named(found):
    """The variables that are CGI's: those in capitals, but for what is copied from the process's environment."""
    return {key: each for key, each in found["keys"].items() if key.isupper() and key not in found["process"]}


@rule("builtin-dict", "environ is a built-in dict, and no subclass of it")
def builtin_dict(ask):
    demand_equal(seen(ask)["type"], ["builtins", "dict"], "its type")


@rule("required-variables", "all of WSGI's own variables are there")
def wsgi_variables(ask):
    missing = [key for key in WSGI if key not in seen(ask)["keys"]]
    demand(not missing, f"{', '.join(missing)}: not there")


@rule("cgi-variables", "PATH_INFO is the path, decoded from percents, behind SCRIPT_NAME")
def path(ask):
    found = seen(ask, "/environ/a%20b%2Fc/%25")
    demand_equal(value(found, "SCRIPT_NAME") + value(found, "PATH_INFO"), "/environ/a b/c/%", "it")


@rule("cgi-variables", "QUERY_STRING is what follows the question mark, as it came")
def query(ask):
    demand_equal(value(seen(ask, "/environ?a=%20b+c&&d=?e"), "QUERY_STRING"), "a=%20b+c&&d=?e", "it")
    demand_equal(value(seen(ask), "QUERY_STRING"), "", "without one, it")


@rule("cgi-variables", "CONTENT_TYPE and CONTENT_LENGTH are the request's")
def content(ask):
    found = seen(ask, "/environ", "Content-Type: text/x-odd; a=b", method="POST", body="12345")
    demand_equal(value(found, "CONTENT_TYPE"), "text/x-odd; a=b", "CONTENT_TYPE")
    demand_equal(value(found, "CONTENT_LENGTH"), "5", "CONTENT_LENGTH")


@rule("cgi-variables", "without a body CONTENT_TYPE and CONTENT_LENGTH are empty or not there")
def no_content(ask):
    found = seen(ask)
    demand_equal(value(found, "CONTENT_TYPE"), "", "CONTENT_TYPE")
    demand(value(found, "CONTENT_LENGTH") in ("", "0"), f"CONTENT_LENGTH is {value(found, 'CONTENT_LENGTH')!r}")


@rule("method-required", "REQUEST_METHOD is the request's, whatever it is")
def method(ask):
    for each in ("GET", "POST", "DELETE", "PROPFIND"):
        demand_equal(value(seen(ask, method=each), "REQUEST_METHOD"), each, "it")


@rule("server-required", "SERVER_NAME and SERVER_PORT are strings that are not empty, with and without a Host field")
def server(ask):
    for head in ("GET /environ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /environ HTTP/1.0\r\n\r\n"):
        with ask.wire() as wire:
            found = ask.seen(wire.send(head).reply())["keys"]
        for key in ("SERVER_NAME", "SERVER_PORT"):
            kind, content = found.get(key, ["nothing", ""])
            demand(kind == "str" and content, f"{key} is {content!r}, of type {kind}")


@rule("protocol", "SERVER_PROTOCOL is HTTP/1.1 or HTTP/1.0, as the client asked")
def protocol(ask):
    for each in ("HTTP/1.1", "HTTP/1.0"):
        demand_equal(value(seen(ask, version=each), "SERVER_PROTOCOL"), each, "it")


@rule("http-variables", "a field of the request is a variable with HTTP_ before its name")
def fields(ask):
    found = seen(ask, "/environ", "X-Some-Field: some value", "User-Agent: a/1 (b)", "Accept:  */*")
    demand_equal(value(found, "HTTP_X_SOME_FIELD"), "some value", "HTTP_X_SOME_FIELD")
    demand_equal(value(found, "HTTP_USER_AGENT"), "a/1 (b)", "HTTP_USER_AGENT")
    demand_equal(value(found, "HTTP_ACCEPT"), "*/*", "HTTP_ACCEPT")
    demand_equal(value(found, "HTTP_HOST"), "test.example", "HTTP_HOST")


@rule("http-variables", "an empty field of the request is an empty variable")
def empty_field(ask):
    found = seen(ask, "/environ", "X-Empty:")["keys"]
    demand_equal(found.get("HTTP_X_EMPTY", ["nothing", None])[1], "", "it")


@rule("http-variables", "no variable speaks of a field that the request does not have")
def no_fields(ask):
    seen(ask, "/environ", "X-Once: yes")
    extra = sorted(key for key in named(seen(ask)) if key.startswith("HTTP_") and key != "HTTP_HOST")
    demand(not extra, f"{', '.join(extra)}: there")


@rule("http-variables", "fields of one name make one variable, joined in their order, as CGI has it")
def repeated(ask):
    found = value(seen(ask, "/environ", "X-Many: one", "Other: x", "X-Many: two"), "HTTP_X_MANY")
    demand_equal(found.replace(" ", ""), "one,two", "it")


@rule("more-cgi", "REMOTE_ADDR is the client's address")
def remote(ask):
    demand_equal(value(seen(ask), "REMOTE_ADDR"), "127.0.0.1", "it")


@rule("more-cgi", "SERVER_SOFTWARE names the server")
def software(ask):
    demand(value(seen(ask), "SERVER_SOFTWARE"), "it is not there")


@rule("missing-left-out", "where nobody has logged in, REMOTE_USER and AUTH_TYPE are left out")
def left_out(ask):
    present = [key for key in ("REMOTE_USER", "AUTH_TYPE", "REMOTE_IDENT") if key in seen(ask)["keys"]]
    demand(not present, f"{', '.join(present)}: there")


@rule("cgi-native", "no variable of CGI's is None, bytes or a number")
def native(ask):
    found = seen(ask, "/environ/caf%C3%A9?q", "Content-Type: a/b", method="POST", body="12345")
    others = {key: kind for key, (kind, _) in named(found).items() if kind != "str"}
    demand(not others, f"types: {others}")
    demand(not found["odd keys"], f"keys that are no str: {found['odd keys']}")


@rule("cgi-str", "the type of CGI's variables is str, and no subclass of it")
def exact(ask):
    native(ask)


@rule("wsgi-variables", "wsgi.version is the tuple (1, 0)")
def version(ask):
    demand_equal(seen(ask)["keys"]["wsgi.version"], ["tuple", "(1, 0)"], "it")


@rule("wsgi-variables", "wsgi.url_scheme is http")
def scheme(ask):
    demand_equal(seen(ask)["keys"]["wsgi.url_scheme"], ["str", "http"], "it")


@rule(
    "own-names",
    "what is neither CGI's nor the process's is in lower case, with a prefix",
    deviation="it is gunicorn's name for the target as it came, and applications that come from there read it",
)
def own_names(ask):
    found = seen(ask)
    others = {key for key in found["keys"] if not key.startswith("HTTP_")} - CGI - APACHE - set(found["process"])
    wrong = sorted(key for key in others if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", key))
    demand(not wrong, f"there is {', '.join(wrong)}")


def _document():
    return (ROOT / "docs" / "wsgi.md").read_text()


@rule("documented", "each variable of the environ is in the server's documents", only_tapster=True)
def documented(ask):
    found = seen(ask, "/environ", "Content-Type: a/b", method="POST", body="12345")["keys"]
    page = _document()
    missing = sorted(key for key in found if not key.startswith("HTTP_") and f"`{key}`" not in page)
    demand(not missing, f"docs/wsgi.md does not tell of {', '.join(missing)}")


@rule("errors-documented", "where wsgi.errors goes is in the server's documents", only_tapster=True)
def errors_documented(ask):
    line = next((each for each in _document().splitlines() if each.startswith("| `wsgi.errors`")), "")
    demand("log" in line, "docs/wsgi.md does not tell")
