"""The servers that rows are played against: one for each group of settings, in the words of the server under test."""

from harness import UNDER_TEST

APPLICATION = "conformance:application"
#: What every server has, so that no connection ends by its age.
COMMON = {"keep_alive": 30}
#: gunicorn's names, where they are not ours.
_GUNICORN_NAMES = {"env": "raw_env", "keep_alive": "keepalive"}
#: What gunicorn knows of the settings that rows have.
GUNICORN_KNOWS = {
    "bind",
    "env",
    "forwarded_allow_ips",
    "forwarder_headers",
    "header_map",
    "keep_alive",
    "limit_request_field_size",
    "limit_request_fields",
    "limit_request_line",
    "proxy_allow_ips",
    "proxy_protocol",
    "secure_scheme_headers",
}
#: Enough that each of the connections side by side has one.
_GUNICORN_THREADS = ("--threads", "100")


class Servers:
    """Servers by settings; `start` is the fixture that starts them and sees to their end."""

    def __init__(self, start, directories):
        self._start = start
        self._directories = directories
        self._running = {}

    def of(self, settings):
        """The server with these settings, started if it does not run yet."""
        key = repr(sorted(settings.items()))
        if key not in self._running:
            self._running[key] = self._launch(dict(settings))
        return self._running[key]

    def greeting(self, settings):
        """What a connection to such a server has to begin with."""
        return b"PROXY UNKNOWN\r\n" if settings.get("proxy_protocol", "off") in ("v1", "auto") else b""

    def expect_unharmed(self):
        """Asserts that no worker was replaced: nothing that a client sends may end one."""
        if UNDER_TEST == "tapster":
            for server in self._running.values():
                assert len(server.ready()) == 1, f"a worker was replaced; the log:\n{server.tail()}"

    def _launch(self, settings):
        directory = self._directories.mktemp("conformance")
        bind = settings.pop("bind", None)
        settings = {**COMMON, **settings}
        if UNDER_TEST == "tapster":
            text = "".join(f"{key} = {_toml(value)}\n" for key, value in settings.items())
            return self._start(APPLICATION, cwd=directory, bind=bind, settings=text)
        text = "".join(
            f"{_GUNICORN_NAMES.get(key, key)} = {_gunicorns(key, value)!r}\n" for key, value in settings.items()
        )
        (directory / "gunicorn.conf.py").write_text(text)
        return self._start(APPLICATION, *_GUNICORN_THREADS, cwd=directory, bind=bind)


def known_here(row):
    """Whether the server under test has all the settings of a row."""
    return UNDER_TEST == "tapster" or set(row.settings) <= GUNICORN_KNOWS


def _gunicorns(key, value):
    return [f"{name}={text}" for name, text in value.items()] if key == "env" else value


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {_toml(each)}' for key, each in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else f'"{value}"'
