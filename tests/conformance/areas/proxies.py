"""Behind a proxy, by gunicorn's settings: the scheme, the mount point, and who is believed."""

from ..rows import environ, instead, request, row, served

SCHEME = "secure_scheme_headers"
NAMES = "forwarder_headers"
MOUNT = "SCRIPT_NAME"
PEERS = "forwarded_allow_ips"
UNIX = {"bind": "unix:server.sock"}

SCHEMES = (
    row(
        "X-Forwarded-Proto: https makes the scheme https",
        SCHEME,
        environ("X-Forwarded-Proto: https"),
        served(scheme="https"),
    ),
    row(
        "X-Forwarded-Protocol: ssl makes the scheme https",
        SCHEME,
        environ("X-Forwarded-Protocol: ssl"),
        served(scheme="https"),
    ),
    row("X-Forwarded-Ssl: on makes the scheme https", SCHEME, environ("X-Forwarded-Ssl: on"), served(scheme="https")),
    row("without a scheme header the scheme is http", SCHEME, environ(), served(scheme="http")),
    row("another value makes the scheme http", SCHEME, environ("X-Forwarded-Proto: http"), served(scheme="http")),
    row(
        "a scheme header's value is compared exactly",
        SCHEME,
        environ("X-Forwarded-Proto: HTTPS"),
        served(scheme="http"),
    ),
    row("a scheme header is no list", SCHEME, environ("X-Forwarded-Proto: https,https"), served(scheme="http")),
    row("a scheme header is found in any case", SCHEME, environ("x-forwarded-PROTO: https"), served(scheme="https")),
    row(
        "scheme headers that agree are taken",
        SCHEME,
        environ("X-Forwarded-Proto: https", "X-Forwarded-Ssl: on"),
        served(scheme="https"),
    ),
    row(
        "scheme headers that disagree are refused",
        SCHEME,
        environ("X-Forwarded-Proto: https", "X-Forwarded-Ssl: off"),
        400,
    ),
    row(
        "a scheme header that contradicts itself is refused",
        SCHEME,
        environ("X-Forwarded-Proto: http", "X-Forwarded-Proto: https"),
        400,
    ),
    row(
        "scheme headers of a stranger say nothing",
        PEERS,
        environ("X-Forwarded-Proto: https"),
        served(scheme="http", HTTP_X_FORWARDED_PROTO="https"),
        forwarded_allow_ips="10.0.0.1",
    ),
    row(
        "contradictory scheme headers of a stranger are not refused",
        PEERS,
        environ("X-Forwarded-Proto: https", "X-Forwarded-Ssl: off"),
        served(scheme="http"),
        forwarded_allow_ips="10.0.0.1",
    ),
    row(
        "an empty forwarded_allow_ips believes nobody",
        PEERS,
        environ("X-Forwarded-Proto: https"),
        served(scheme="http"),
        forwarded_allow_ips="",
    ),
    row(
        "forwarded_allow_ips may be a network",
        PEERS,
        environ("X-Forwarded-Proto: https"),
        served(scheme="https"),
        forwarded_allow_ips="127.0.0.0/8",
    ),
    row(
        "forwarded_allow_ips = * believes everybody",
        PEERS,
        environ("X-Forwarded-Proto: https"),
        served(scheme="https"),
        forwarded_allow_ips="*",
    ),
    row(
        "whoever connects through a Unix socket is believed",
        PEERS,
        environ("X-Forwarded-Proto: https"),
        served(scheme="https"),
        forwarded_allow_ips="",
        **UNIX,
    ),
    row(
        "a Unix socket's SERVER_PORT is the scheme's",
        "RFC 3875 §4.1.15",
        environ("X-Forwarded-Proto: https", host="a.example"),
        served(SERVER_NAME="a.example", SERVER_PORT="443"),
        **UNIX,
    ),
    row(
        "a Unix socket's SERVER_NAME and SERVER_PORT are Host's",
        "RFC 3875 §4.1.14",
        environ(host="a.example:81"),
        served(SERVER_NAME="a.example", SERVER_PORT="81", REMOTE_ADDR=""),
        **UNIX,
    ),
    row(
        "secure_scheme_headers may be others",
        SCHEME,
        environ("X-Secure: yes"),
        served(scheme="https"),
        secure_scheme_headers={"X-SECURE": "yes"},
    ),
    row(
        "secure_scheme_headers replaces the defaults",
        SCHEME,
        environ("X-Forwarded-Proto: https"),
        served(scheme="http"),
        secure_scheme_headers={"X-SECURE": "yes"},
    ),
)

MOUNTS = (
    row(
        "a proxy's SCRIPT_NAME is taken off the path",
        MOUNT,
        environ("SCRIPT_NAME: /app", target="/app/environ"),
        served(SCRIPT_NAME="/app", PATH_INFO="/environ", RAW_URI="/app/environ"),
    ),
    row(
        "a proxy's SCRIPT_NAME may be the whole path",
        MOUNT,
        request("SCRIPT_NAME: /app", target="/app"),
        served("hello"),
    ),
    row("an empty SCRIPT_NAME is none", MOUNT, environ("SCRIPT_NAME:"), served(SCRIPT_NAME="", PATH_INFO="/environ")),
    row(
        "SCRIPT_NAME is found in any case",
        MOUNT,
        environ("Script_Name: /app", target="/app/environ"),
        served(SCRIPT_NAME="/app"),
    ),
    row(
        "a SCRIPT_NAME that the path does not begin with is the proxy's mistake",
        MOUNT,
        environ("SCRIPT_NAME: /app"),
        500,
    ),
    row(
        "a SCRIPT_NAME ends at a slash of the path",
        MOUNT,
        environ("SCRIPT_NAME: /env", target="/environ"),
        500,
        gunicorn=instead(
            served(SCRIPT_NAME="/env", PATH_INFO="iron"),
            "`/env` is not where `/environ` is mounted: the application would be asked for `iron`.",
        ),
    ),
    row(
        "a SCRIPT_NAME's last slash is none of it",
        MOUNT,
        environ("SCRIPT_NAME: /app/", target="/app/environ"),
        served(SCRIPT_NAME="/app", PATH_INFO="/environ"),
        gunicorn=instead(
            served(SCRIPT_NAME="/app/", PATH_INFO="environ"),
            "PEP 3333 wants PATH_INFO to begin with a slash, or to be empty.",
        ),
    ),
    row(
        "two SCRIPT_NAMEs are refused",
        MOUNT,
        environ("SCRIPT_NAME: /app", "SCRIPT_NAME: /app/environ", target="/app/environ"),
        400,
        gunicorn=instead(served("hello"), "Two proxies that each name a mount point can't both be right."),
    ),
    row(
        "a stranger's SCRIPT_NAME is dropped",
        MOUNT,
        environ("SCRIPT_NAME: /app"),
        served(SCRIPT_NAME="", HTTP_SCRIPT_NAME=None),
        forwarded_allow_ips="10.0.0.1",
    ),
    row(
        "Script-Name is a field like others",
        MOUNT,
        environ("Script-Name: /app"),
        served(SCRIPT_NAME="", HTTP_SCRIPT_NAME="/app"),
    ),
    row(
        "a proxy's PATH_INFO changes no path",
        NAMES,
        environ("PATH_INFO: /other"),
        served(PATH_INFO="/environ", HTTP_PATH_INFO="/other"),
    ),
    row(
        "a proxy's other names with underscores are dropped",
        NAMES,
        environ("REMOTE_USER: me"),
        served(HTTP_REMOTE_USER=None),
    ),
    row(
        "forwarder_headers lets names with underscores pass",
        NAMES,
        environ("REMOTE_USER: me"),
        served(HTTP_REMOTE_USER="me"),
        forwarder_headers="REMOTE_USER",
    ),
    row(
        "forwarder_headers replaces the defaults",
        NAMES,
        environ("SCRIPT_NAME: /app"),
        served(SCRIPT_NAME="", HTTP_SCRIPT_NAME=None),
        forwarder_headers="REMOTE_USER",
    ),
    row(
        "forwarder_headers = * lets all names pass",
        NAMES,
        environ("X_Any: y", "SCRIPT_NAME: /app", target="/app/environ"),
        served(HTTP_X_ANY="y", SCRIPT_NAME="/app"),
        forwarder_headers="*",
    ),
    row(
        "forwarder_headers passes under header_map = refuse",
        NAMES,
        environ("SCRIPT_NAME: /app", target="/app/environ"),
        served(SCRIPT_NAME="/app"),
        header_map="refuse",
    ),
    row(
        "a stranger's forwarder_headers are refused under header_map = refuse",
        NAMES,
        environ("SCRIPT_NAME: /app"),
        400,
        header_map="refuse",
        forwarded_allow_ips="10.0.0.1",
    ),
    row(
        "the environment's SCRIPT_NAME is taken off the path",
        MOUNT,
        environ("Connection: close", target="/app/environ"),
        served(closes=True, SCRIPT_NAME="/app", PATH_INFO="/environ"),
        env={"SCRIPT_NAME": "/app"},
    ),
    row(
        "a path outside of the environment's SCRIPT_NAME can't be served",
        MOUNT,
        environ(),
        500,
        env={"SCRIPT_NAME": "/app"},
    ),
    row(
        "a proxy's SCRIPT_NAME beats the environment's",
        MOUNT,
        environ("Connection: close", "SCRIPT_NAME: /other", target="/other/environ"),
        served(closes=True, SCRIPT_NAME="/other", PATH_INFO="/environ"),
        env={"SCRIPT_NAME": "/app"},
    ),
)

ROWS = (*SCHEMES, *MOUNTS)
