"""Request targets in their four forms, Host, and the path that the application sees (RFC 9112 section 3.2)."""

from ..rows import environ, instead, octets, request, row, served

FORMS = "RFC 9112 §3.2"
HOST = "RFC 9110 §7.2"
PATH = "RFC 3986 §2.1"

KEEPS_HOST = instead(
    served(HTTP_HOST="field.example"), "The RFC has the target's host count: with two in one request, one must."
)
NO_HOST = instead(
    served("hello"), "The RFC demands the refusal: without a Host it is anyone's guess which site was meant."
)
ANY_AUTHORITY = instead(
    served(), "A URL of http has a host, no user, and a port of digits; else readers disagree on which host it is."
)
BAD_HOST = "The RFC demands the refusal: applications build links and choose sites by Host."
ANY_HOST = instead(served(), BAD_HOST)


def target(text, method="GET"):
    """A request with this target whose environ is shown."""
    return request(target=text, method=method, host="field.example")


def host(value, version="HTTP/1.1"):
    """A request with this Host whose environ is shown."""
    return environ(host=value, version=version)


ORIGIN = (
    row(
        "a path and a query are told apart",
        FORMS,
        target("/environ/a?b=c&d"),
        served(PATH_INFO="/environ/a", QUERY_STRING="b=c&d", RAW_URI="/environ/a?b=c&d", SCRIPT_NAME=""),
    ),
    row(
        "only the first question mark divides",
        FORMS,
        target("/environ?a?b"),
        served(PATH_INFO="/environ", QUERY_STRING="a?b"),
    ),
    row(
        "a query may be empty",
        FORMS,
        target("/environ?"),
        served(PATH_INFO="/environ", QUERY_STRING="", RAW_URI="/environ?"),
    ),
    row("two slashes in front are a path", FORMS, target("//environ/a"), served(PATH_INFO="//environ/a")),
    row(
        "dots in a path are the application's",
        FORMS,
        target("/environ/../a/./b"),
        served(PATH_INFO="/environ/../a/./b"),
    ),
    row(
        "a path may hold a colon and an at sign",
        FORMS,
        target("/environ/a:b@c;d=e"),
        served(PATH_INFO="/environ/a:b@c;d=e"),
    ),
    row(
        "a path may hold what ought to be encoded",
        FORMS,
        target('/environ/[]{}|\\^`"<>'),
        served(PATH_INFO='/environ/[]{}|\\^`"<>'),
    ),
    row(
        "a path with a URL within is a path",
        FORMS,
        target("/environ/http://b/c"),
        served(PATH_INFO="/environ/http://b/c"),
    ),
    row(
        "a fragment is refused",
        FORMS,
        target("/a#b"),
        400,
        gunicorn=instead(
            served(PATH_INFO="/a"),
            "A fragment is never sent to a server; who sends one and who drops it may disagree on the path.",
        ),
    ),
    row("bytes above ASCII are refused", FORMS, target("/caf\xe9"), 400),
    row("a NUL is refused", FORMS, target("/a\0b"), 400),
    row("a control character is refused", FORMS, target("/a\x01b"), 400),
    row("DEL is refused", FORMS, target("/a\x7fb"), 400),
)

ABSOLUTE = (
    row(
        "absolute-form gives its path",
        FORMS,
        target("http://url.example/environ/a?b"),
        served(PATH_INFO="/environ/a", QUERY_STRING="b"),
    ),
    row(
        "absolute-form's host replaces Host",
        "RFC 9112 §3.2.2",
        target("http://url.example/environ"),
        served(HTTP_HOST="url.example"),
        gunicorn=KEEPS_HOST,
    ),
    row(
        "absolute-form stays whole in RAW_URI",
        "PEP 3333",
        target("http://url.example/environ"),
        served(RAW_URI="http://url.example/environ"),
    ),
    row(
        "absolute-form may have a port",
        FORMS,
        target("http://url.example:81/environ"),
        served(HTTP_HOST="url.example:81"),
        gunicorn=KEEPS_HOST,
    ),
    row(
        "absolute-form may be https, which changes no scheme",
        FORMS,
        target("https://url.example/environ"),
        served(PATH_INFO="/environ", scheme="http"),
    ),
    row(
        "absolute-form's scheme may be in any case",
        FORMS,
        target("HTTP://url.example/environ"),
        served(PATH_INFO="/environ"),
    ),
    row("absolute-form without a path is the root", FORMS, target("http://url.example"), served("hello")),
    row("absolute-form may have a query without a path", FORMS, target("http://url.example?a=/b"), served("hello")),
    row(
        "absolute-form with an IPv6 address is taken",
        FORMS,
        target("http://[::1]:80/environ"),
        served(HTTP_HOST="[::1]:80"),
        gunicorn=KEEPS_HOST,
    ),
    row(
        "absolute-form needs a Host nevertheless",
        "RFC 9112 §3.2",
        request(target="http://url.example/", host=None),
        400,
        gunicorn=NO_HOST,
    ),
    row(
        "absolute-form in 1.0 needs no Host",
        "RFC 9112 §3.2",
        request(target="http://url.example/environ", host=None, version="HTTP/1.0"),
        served(closes=True, HTTP_HOST=None, PATH_INFO="/environ"),
    ),
    row(
        "absolute-form without a host is refused",
        "RFC 9110 §4.2.1",
        target("http:///environ"),
        400,
        gunicorn=ANY_AUTHORITY,
    ),
    row(
        "absolute-form without a host but a port is refused",
        "RFC 9110 §4.2.1",
        target("http://:80/environ"),
        400,
        gunicorn=ANY_AUTHORITY,
    ),
    row(
        "absolute-form with a user is refused",
        "RFC 9110 §4.2.4",
        target("http://user@url.example/environ"),
        400,
        gunicorn=ANY_AUTHORITY,
    ),
    row(
        "absolute-form with a bad port is refused",
        FORMS,
        target("http://url.example:x/environ"),
        400,
        gunicorn=ANY_AUTHORITY,
    ),
    row("absolute-form with an unfinished address is refused", FORMS, target("http://[::1/environ"), 400),
    row(
        "absolute-form of another scheme is refused",
        FORMS,
        target("ftp://url.example/environ"),
        400,
        gunicorn=instead(served(), "What another scheme's URL means here, nobody has said."),
    ),
    row("absolute-form with one slash is refused", FORMS, target("http:/environ"), 400),
)

OTHERS = (
    row("asterisk-form is for OPTIONS", "RFC 9112 §3.2.4", target("*", "OPTIONS"), served(PATH_INFO="*", RAW_URI="*")),
    row("asterisk-form is for OPTIONS alone", "RFC 9112 §3.2.4", target("*"), 400),
    row("asterisk-form is an asterisk alone", "RFC 9112 §3.2.4", target("**", "OPTIONS"), 400),
    row("asterisk-form has no query", "RFC 9112 §3.2.4", target("*?a", "OPTIONS"), 400),
    row("authority-form is for CONNECT alone", "RFC 9112 §3.2.3", target("url.example:443"), 400),
    row("a path without a slash is refused", FORMS, target("environ"), 400),
    row("a query without a path is refused", FORMS, target("?a"), 400),
    row("a mail address is refused", FORMS, target("mailto:a@b"), 400),
    row("a backslash in front is refused", FORMS, target("\\environ"), 400),
)

DECODING = (
    row(
        "a path is percent-decoded",
        PATH,
        target("/environ/a%20b%41"),
        served(PATH_INFO="/environ/a bA", RAW_URI="/environ/a%20b%41"),
    ),
    row("an encoded slash becomes one", PATH, target("/environ/a%2Fb%2fc"), served(PATH_INFO="/environ/a/b/c")),
    row(
        "an encoded question mark divides nothing",
        PATH,
        target("/environ/a%3Fb"),
        served(PATH_INFO="/environ/a?b", QUERY_STRING=""),
    ),
    row(
        "encoded UTF-8 reaches the application as latin-1",
        "PEP 3333",
        target("/environ/%C3%A9"),
        served(PATH_INFO="/environ/\xc3\xa9"),
    ),
    row("an encoded NUL reaches the application", PATH, target("/environ/%00"), served(PATH_INFO="/environ/\0")),
    row(
        "an encoded line end reaches the application",
        PATH,
        target("/environ/%0d%0a"),
        served(PATH_INFO="/environ/\r\n"),
    ),
    row(
        "a percent sign that encodes nothing stays", PATH, target("/environ/%zz%4"), served(PATH_INFO="/environ/%zz%4")
    ),
    row("a path is decoded once", PATH, target("/environ/%2541"), served(PATH_INFO="/environ/%41")),
    row("a plus stays a plus", PATH, target("/environ/a+b"), served(PATH_INFO="/environ/a+b")),
    row("a query is not decoded", "PEP 3333", target("/environ?a%20b"), served(QUERY_STRING="a%20b")),
)

HOSTS = (
    row("1.1 has a Host", HOST, request(host=None), 400, gunicorn=NO_HOST),
    row("1.0 may have none", HOST, environ(host=None, version="HTTP/1.0"), served(closes=True, HTTP_HOST=None)),
    row("two Hosts are refused", HOST, request("Host: b"), 400),
    row("two equal Hosts are refused", HOST, request("Host: a"), 400),
    row("two Hosts are refused in 1.0", HOST, request("Host: b", version="HTTP/1.0"), 400),
    row("a Host may be empty", HOST, host(""), served(HTTP_HOST="")),
    row("a port without a host is refused", HOST, host(":80"), 400, gunicorn=ANY_HOST),
    row("a Host may have a port", HOST, host("a.example:80"), served(HTTP_HOST="a.example:80")),
    row("a Host may have an empty port", HOST, host("a.example:"), served(HTTP_HOST="a.example:")),
    row("a Host may be an IPv4 address", HOST, host("127.0.0.1:8000"), served(HTTP_HOST="127.0.0.1:8000")),
    row("a Host may be an IPv6 address", HOST, host("[2001:db8::1]:80"), served(HTTP_HOST="[2001:db8::1]:80")),
    row("a Host may have an underscore", HOST, host("a_b"), served(HTTP_HOST="a_b")),
    row("a Host may be percent-encoded", HOST, host("a%20b"), served(HTTP_HOST="a%20b")),
    row("a Host has no space", HOST, host("a b"), 400, gunicorn=ANY_HOST),
    row("a Host has no path", HOST, host("a/b"), 400, gunicorn=ANY_HOST),
    row("a Host has no query", HOST, host("a?b"), 400, gunicorn=ANY_HOST),
    row("a Host has no fragment", HOST, host("a#b"), 400, gunicorn=ANY_HOST),
    row("a Host has no user", HOST, host("user@a"), 400, gunicorn=ANY_HOST),
    row("a Host is no URL", HOST, host("http://a"), 400, gunicorn=ANY_HOST),
    row("a Host is no list", HOST, host("a, b"), 400, gunicorn=ANY_HOST),
    row("a Host's port is digits", HOST, host("a:b"), 400, gunicorn=ANY_HOST),
    row("a Host has one port", HOST, host("a:80:80"), 400, gunicorn=ANY_HOST),
    row("a Host's IPv6 address is in brackets", HOST, host("::1"), 400, gunicorn=ANY_HOST),
    row("a Host's brackets are closed", HOST, host("[::1"), 400, gunicorn=ANY_HOST),
    row("a Host's brackets hold an address", HOST, host("[a]"), 400, gunicorn=ANY_HOST),
    row("nothing but a port follows a Host's brackets", HOST, host("[::1]x"), 400, gunicorn=ANY_HOST),
    row("a Host is ASCII", HOST, host("caf\xe9"), 400, gunicorn=ANY_HOST),
    row("a Host's percent sign encodes something", HOST, host("a%zz"), 400, gunicorn=ANY_HOST),
    row(
        "a bad Host is refused in 1.0 too",
        HOST,
        host("a/b", "HTTP/1.0"),
        400,
        gunicorn=instead(served(closes=True), BAD_HOST),
    ),
    row("Host is found in any case", HOST, octets("GET /environ HTTP/1.1\r\nhOsT: a\r\n\r\n"), served(HTTP_HOST="a")),
)

ROWS = (*ORIGIN, *ABSOLUTE, *OTHERS, *DECODING, *HOSTS)
