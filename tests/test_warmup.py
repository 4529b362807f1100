"""`warmup`: requests that the application answers before a worker takes traffic, and what comes of those that it can't."""

import json
import signal

import pytest

from harness import APPS, run_tapster, wait_until

pytestmark = pytest.mark.tapster
preload_or_not = pytest.mark.parametrize("preload", [False, True], ids=["no_preload", "preload"])
APP = "warmed:application"


@pytest.fixture
def notes(tmp_path):
    """Reads what the application has written down, in order."""
    path = tmp_path / "warmed"
    path.touch()

    def read(what=None):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in lines if what in (None, line["what"])]

    read.env = {"WARMED": str(path)}
    return read


def options(preload, *paths):
    """The command line's part."""
    return ["--warmup", ",".join(paths), *(["--preload"] if preload else [])]


@preload_or_not
def test_the_requests_run_in_their_order_before_a_worker_is_ready(serve, notes, preload):
    server = serve(APP, *options(preload, "/first?a=%20b", "/second"), env=notes.env, workers=2)
    where = [server.template_pid()] if preload else sorted(server.worker_pids())
    for pid in where:
        done = [line["what"] for line in notes() if line["pid"] == pid]
        assert done == ["imported", "/first", "/second"]
    assert {line["pid"] for line in notes()} == set(where)
    assert server.get("/first").status == 200
    assert [line["warmup"] for line in notes("/first")] == [True] * len(where) + [False]


@preload_or_not
def test_environ_is_that_of_a_client_s_request(serve, notes, preload):
    target = "http://www.example.com/some%20path?q=1"
    server = serve(APP, *options(preload, target), env=notes.env)
    headers = {"Host": "www.example.com", "User-Agent": "tapster-warmup", "Accept": "*/*", "Accept-Encoding": None}
    with server.wire() as wire:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        assert wire.send(f"GET /some%20path?q=1 HTTP/1.1\r\n{head}\r\n").reply().status == 200
    warmup, real = notes("/some path")
    differ = {
        key
        for key in {*warmup["environ"], *real["environ"]}
        if warmup["environ"].get(key) != real["environ"].get(key)
    }
    assert differ == {"tapster.warmup", "REMOTE_PORT"}
    assert warmup["environ"]["HTTP_HOST"] == "www.example.com"
    assert warmup["environ"]["SERVER_PORT"] == str(server.address[1])
    assert warmup["input"] == ""


def test_a_url_with_https_is_https_to_the_application(serve, notes):
    serve(APP, *options(False, "https://www.example.com/"), env=notes.env, bind="unix:s.sock")
    (line,) = notes("/")
    environ = line["environ"]
    assert environ["wsgi.url_scheme"] == "https"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("www.example.com", "443")


@preload_or_not
def test_whatever_a_reply_is_made_of_is_taken_and_closed(serve, notes, preload):
    paths = ["/closed", "/written", "/file", "/hinted", "/complains"]
    server = serve(APP, *options(preload, *paths), env=notes.env)
    assert [line["what"] for line in notes()] == ["imported", "/closed", "closed", *paths[1:]]
    assert "a word from the cold" in server.log()


@preload_or_not
def test_what_is_no_5xx_is_good_enough_and_is_told(serve, notes, preload):
    server = serve(APP, *options(preload, "/post_only", "/moved", "/fine"), env=notes.env)
    assert server.get().status == 200
    assert "GET /post_only in" in server.log() and "405 Method Not Allowed" in server.log()
    assert "GET /moved in" in server.log() and "302 Found" in server.log()
    assert "GET /fine" not in server.log()


FAILURES = {
    "/unavailable": "was answered with 503 Service Unavailable",
    "/raises": "RuntimeError: cold as ice",
    "/breaks_off": "RuntimeError: cold as ice",
    "/text": "must consist of bytes",
}


@preload_or_not
@pytest.mark.parametrize("path", FAILURES)
def test_a_first_start_ends_where_a_request_fails(serve, notes, path, preload):
    server = serve(APP, *options(preload, "/fine", path), env=notes.env, wait=False)
    server.expected_exit = 3
    assert server.wait_exit() == 3
    assert FAILURES[path] in server.log()
    assert f"GET {path}" in server.log() and "warmup" in server.log()
    assert bool(notes("closed")) == (path == "/breaks_off")


@preload_or_not
@pytest.mark.parametrize("path", FAILURES)
def test_a_reload_whose_requests_fail_is_rolled_back(serve, notes, path, preload):
    server = serve(APP, env=notes.env, settings="warmup = []\n")
    before = server.tree()
    server.write_settings(f'warmup = ["/fine", "{path}"]\npreload = {str(preload).lower()}\n')
    server.send(signal.SIGHUP)
    server.wait_log("generation 2 failed to boot; generation 1 goes on serving")
    assert FAILURES[path] in server.log()
    wait_until(lambda: server.tree() == before, what="the old generation is all that is left")
    assert server.get().status == 200
    server.write_settings('warmup = ["/fine"]\n')
    server.reload()


@preload_or_not
def test_a_request_that_hangs_is_over_at_boot_timeout(serve, notes, preload):
    server = serve(APP, *options(preload, "/hangs"), "--boot-timeout", "1", env=notes.env, wait=False)
    server.expected_exit = 3
    assert server.wait_exit() == 3
    assert notes("/hangs")
    assert "boot_timeout" in server.log()
    # A template has no place of its own to say it.
    assert preload or "; it was running GET /hangs (for" in server.log()


@preload_or_not
def test_check_config_names_the_request_that_hangs(notes, tmp_path, preload):
    arguments = ["--check-config", "--pythonpath", APPS, "--boot-timeout", "1", *options(preload, "/fine,/hangs"), APP]
    done = run_tapster(*arguments, cwd=tmp_path, env=notes.env)
    assert done.returncode == 3
    assert "warmup failed: GET /hangs was not answered within boot_timeout" in done.stderr


@preload_or_not
@pytest.mark.parametrize("path", ["/fine", *FAILURES])
def test_check_config_runs_the_requests(notes, tmp_path, path, preload):
    arguments = ["--check-config", "--pythonpath", APPS, *options(preload, path), APP]
    done = run_tapster(*arguments, cwd=tmp_path, env=notes.env)
    if path == "/fine":
        assert done.returncode == 0 and notes("/fine"), done.stderr
    else:
        assert done.returncode == 3 and FAILURES[path] in done.stderr


def test_what_post_fork_registers_has_run_before(serve, tmp_path):
    (tmp_path / "pooled.py").write_text(
        "import tapster\n"
        "pool = []\n"
        "@tapster.post_fork\n"
        "def connect():\n"
        "    pool.append(1)\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK' if pool else '500 Empty', [])\n"
        "    return [b'%d' % len(pool)]\n"
    )
    server = serve("pooled:application", "--warmup", "/", "--pythonpath", str(tmp_path))
    assert server.get().text == "1"
    arguments = ["--check-config", "--warmup", "/", "--pythonpath", tmp_path, "pooled:application"]
    assert run_tapster(*arguments, cwd=tmp_path).returncode == 0


@preload_or_not
@pytest.mark.parametrize(
    ("app", "path", "env"),
    [
        ("flask_app:app", "/hello/world", {}),
        ("project.wsgi:application", "http://127.0.0.1:8000/stream/", {"DJANGO_SETTINGS_MODULE": "project.settings"}),
    ],
    ids=["flask", "django"],
)
def test_frameworks_are_warmed_up(serve, tmp_path, app, path, env, preload):
    common = ["--pythonpath", str(APPS / "django_project"), "--log-level", "debug"]
    server = serve(app, *common, *options(preload, path), env={"DJANGO_DATA": str(tmp_path), **env})
    assert f"Warmed up by GET {path}" in server.log()
    assert server.wait_log("Warmed up by GET .*").group().endswith("200 OK")


def test_a_host_that_django_does_not_know_is_told(serve, tmp_path):
    env = {"DJANGO_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "project.settings"}
    paths = options(False, "http://unknown.example/stream/")
    server = serve("project.wsgi:application", "--pythonpath", str(APPS / "django_project"), *paths, env=env)
    assert "400 Bad Request" in server.wait_log("Warmed up by GET .*").group()


@pytest.mark.parametrize("path", ["health", "ftp://localhost/", "/a b"])
def test_what_is_no_path_is_refused_before_anything_is_bound(tmp_path, path):
    done = run_tapster("--warmup", path, "--pythonpath", APPS, APP, cwd=tmp_path)
    assert done.returncode == 2
    assert "--warmup must hold paths" in done.stderr
