"""`reload`, for development: what has been saved is what answers next, and what can't be loaded says why in the browser."""

import os
import re
import signal

import pytest

from harness import run_tapster, wait_until
from harness.processes import alive, threads
from harness.waiting import always

pytestmark = pytest.mark.tapster
preload_or_not = pytest.mark.parametrize("preload", [False, True], ids=["no_preload", "preload"])

APP = '''
import other

def application(environ, start_response):
    if environ["PATH_INFO"] == "/late":
        import late
        text = late.text
    else:
        text = "{text}" + other.text
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
'''


CLOSES = '''
import os, sys

def application(environ, start_response):
    if environ["PATH_INFO"] == "/close":
        links = {number: os.path.realpath(f"/proc/self/fd/{number}") for number in map(int, os.listdir("/proc/self/fd"))}
        (hears,) = (number for number, link in links.items() if link.endswith("inotify"))
        # With what wakes the thread behind it.
        os.closerange(hears, hears + 3)
        sys.path.insert(0, "apart")
        import module
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"open"]
'''


def write(path, text):
    """Saves a file as a simple editor does: in place."""
    path.write_text(text)


def save_by_rename(path, text):
    """Saves it as most editors do: beside it first."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.rename(path)


def save_by_removal(path, text):
    """Saves it as others do: the old file makes room for a new one."""
    path.rename(path.with_name(f"{path.name}~"))
    path.write_text(text)


@pytest.fixture
def site(tmp_path):
    """The folder of an application of three modules, one of them imported late."""
    folder = tmp_path / "site"
    folder.mkdir()
    write(folder / "site_app.py", APP.format(text="1"))
    write(folder / "other.py", "text = '.0'\n")
    write(folder / "late.py", "text = 'late 0'\n")
    return folder


@pytest.fixture
def start(serve, site):
    """Starts a server over it."""

    def run(*options, preload=False, app="site_app:application", **settings):
        given = ["--reload", "--chdir", str(site), *options, *(["--preload"] if preload else [])]
        return serve(app, *given, **settings)

    return run


def answers(server, text, path="/"):
    """Waits until new connections get that answer."""
    wait_until(lambda: server.get(path).text == text, 15, lambda: f"{text!r}; log:\n{server.tail()}")


def settled(server):
    """Waits until all but the newest workers are gone, and returns their pids."""

    def pids():
        live = server.live()
        newest = {reloads(server) + 1}
        whole = len(live) == server.workers and {worker.generation for worker in live} == newest
        return whole and {worker.pid for worker in live}

    return wait_until(pids, 15, lambda: f"one generation only: {server.live()}; log:\n{server.tail()}")


def reloads(server):
    """How many changes have been taken up."""
    return server.log().count("has changed: loading")


@preload_or_not
@pytest.mark.parametrize("save", [write, save_by_rename, save_by_removal])
def test_what_is_saved_answers_next(start, site, save, preload):
    server = start(preload=preload)
    assert server.get().text == "1.0"
    save(site / "site_app.py", APP.format(text="22"))
    answers(server, "22.0")
    save(site / "other.py", "text = '.333'\n")
    answers(server, "22.333")
    assert f"{site}/site_app.py has changed: loading" in server.log()
    assert f"{site}/other.py has changed: loading" in server.log()


def test_a_change_is_taken_up_once_however_many_workers_see_it(start, site):
    server = start(workers=3)
    for number in range(1, 4):
        save_by_rename(site / "site_app.py", APP.format(text="1" * (number + 1)))
        answers(server, "1" * (number + 1) + ".0")
        settled(server)
        assert reloads(server) == number, server.log()


def test_a_burst_of_changes_is_one_reload(start, site):
    server = start()
    for number in range(20):
        write(site / "site_app.py", APP.format(text=f"at {number}"))
        write(site / "other.py", f"text = ', {number}'\n")
    answers(server, "at 19, 19")
    settled(server)
    assert reloads(server) <= 2, "a busy machine may have come in between once"


def test_a_module_that_is_imported_late_is_watched_from_then_on(start, site):
    server = start()
    before = server.worker_pids()
    write(site / "late.py", "text = 'late 1'\n")
    always(lambda: server.worker_pids() == before, 0.5, "nobody has imported it")
    assert server.get("/late").text == "late 1"
    # The look at the modules comes behind the reply.
    assert server.get("/").text == "1.0"
    write(site / "late.py", "text = 'late, but new'\n")
    answers(server, "late, but new", "/late")


@preload_or_not
def test_a_syntax_error_is_shown_and_the_next_save_mends_it(start, site, preload):
    server = start(preload=preload)
    write(site / "other.py", "text = '<script>' +\n")
    reply = wait_until(lambda: (reply := server.get()).status == 500 and reply, 15, server.tail)
    assert "SyntaxError: invalid syntax" in reply.text and f'{site}/other.py", line 1' in reply.text
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    assert reply.header("cache-control") == "no-store"
    assert server.get("/any/other").status == 500
    assert "SyntaxError: invalid syntax" in server.log()
    write(site / "other.py", "text = '.mended'\n")
    answers(server, "1.mended")


BROKEN = {
    "syntax_error": ("def broken(:\n", "SyntaxError"),
    "missing_module": ("import not_there_yet\n", "No module named 'not_there_yet'"),
    "exception": ("raise RuntimeError('not today')\n", "RuntimeError: not today"),
    "exit": ("import sys; sys.exit(7)\n", "SystemExit: 7"),
    "no_callable": ("applikation = None\n", "has no attribute 'application'"),
}


@preload_or_not
@pytest.mark.parametrize("kind", BROKEN)
def test_a_first_start_with_an_error_waits_for_its_mending(start, site, kind, preload):
    source, error = BROKEN[kind]
    write(site / "site_app.py", source)
    server = start(preload=preload, workers=2)
    reply = server.get()
    assert reply.status == 500 and error in reply.text
    assert error in server.log()
    write(site / "site_app.py", APP.format(text="at last"))
    answers(server, "at last.0")


@preload_or_not
def test_a_module_that_is_missing_is_waited_for(start, site, preload):
    write(site / "other.py", "from pkg.deep import text\n")
    server = start(preload=preload)
    assert "No module named 'pkg'" in server.get().text
    (site / "pkg").mkdir()
    write(site / "pkg" / "__init__.py", "")
    wait_until(lambda: "No module named 'pkg.deep'" in server.get().text, 15, server.tail)
    write(site / "pkg" / "deep.py", "text = '.deep'\n")
    answers(server, "1.deep")


#: What an application asks of a package that does not have it, and what the package has.
WANTED = {
    "from_import": "from pkg import first, deep\ntext = deep.text\n",
    "import": "import pkg.deep\ntext = pkg.deep.text\n",
    "import_module": "import importlib\ntext = importlib.import_module('pkg.deep').text\n",
    "chained": "try:\n    from pkg import deep\nexcept ImportError as error:\n    raise ValueError('no') from error\ntext = deep.text\n",
    "relative": "from pkg.inner import text\n",
}


@preload_or_not
@pytest.mark.parametrize("kind", WANTED)
def test_a_module_that_a_package_lacks_is_waited_for(start, site, kind, preload):
    (site / "pkg").mkdir()
    write(site / "pkg" / "__init__.py", "")
    write(site / "pkg" / "first.py", "")
    write(site / "pkg" / "inner.py", "from . import deep\ntext = deep.text\n")
    write(site / "other.py", WANTED[kind])
    server = start(preload=preload)
    assert server.get().status == 500
    write(site / "pkg" / "deep.py", "text = '.deep'\n")
    answers(server, "1.deep")


def test_a_module_that_a_package_without_init_lacks_is_waited_for_and_the_package_too(start, site):
    write(site / "other.py", "from bare.deep import deepest\ntext = deepest.text\n")
    server = start()
    (site / "bare").mkdir()
    wait_until(lambda: "No module named 'bare.deep'" in server.get().text, 15, server.tail)
    (site / "bare" / "deep").mkdir()
    wait_until(lambda: "cannot import name 'deepest'" in server.get().text, 15, server.tail)
    write(site / "bare" / "deep" / "deepest.py", "text = '.deepest'\n")
    answers(server, "1.deepest")


@preload_or_not
@pytest.mark.parametrize("how", ["import other", "from pkg import other", "import importlib; other = importlib.import_module('other')"])
def test_a_file_that_is_no_text_is_waited_for(start, site, how, preload):
    (site / "pkg").mkdir()
    file = site / ("pkg/other.py" if "pkg" in how else "other.py")
    write(site / "site_app.py", APP.format(text="1").replace("import other", how))
    file.write_bytes(b"text = '\0'\n")
    server = start(preload=preload)
    assert "null bytes" in server.get().text
    before = reloads(server)
    always(lambda: reloads(server) == before, 0.5, "nothing has changed")
    write(file, "text = '.mended'\n")
    answers(server, "1.mended")


def test_an_application_whose_file_is_missing_is_waited_for(start, site):
    server = start(app="folder/new.py:application")
    assert "there is no file" in server.get().text
    (site / "folder").mkdir()
    write(site / "folder" / "new.py", APP.format(text="new").replace("import other", "class other: text = ''"))
    answers(server, "new")


def test_a_file_that_is_removed_and_brought_back(start, site):
    server = start()
    (site / "other.py").rename(site / "away")
    wait_until(lambda: "No module named 'other'" in server.get().text, 15, server.tail)
    (site / "away").rename(site / "other.py")
    answers(server, "1.0")


@preload_or_not
def test_a_post_fork_function_that_raises_is_shown_too(start, site, preload):
    server = start(preload=preload)
    hook = "import tapster\n@tapster.post_fork\ndef connect():\n    raise ValueError('no pool')\n"
    write(site / "other.py", f"{hook}text = '.x'\n")
    wait_until(lambda: "ValueError: no pool" in server.get().text, 15, server.tail)
    write(site / "other.py", "text = '.y'\n")
    answers(server, "1.y")


def test_extra_files_are_watched_and_those_in_extra_folders(start, site):
    (site / "templates" / "deep").mkdir(parents=True)
    write(site / "templates" / "deep" / "a.html", "1")
    write(site / "words.txt", "1")
    server = start("--reload-extra-files", "templates,words.txt")
    changes = [("words.txt", "22"), ("templates/deep/a.html", "22"), ("templates/deep/b.html", "new")]
    for number, (name, text) in enumerate(changes):
        write(site / name, text)
        server.wait_log(re.escape(f"{site}/{name} has changed"))
        wait_until(lambda expected=number + 1: reloads(server) == expected, what=server.tail)
        settled(server)


def test_other_files_and_mere_looks_change_nothing(start, site):
    write(site / "page.html", "1")
    server = start()
    before = server.worker_pids()
    write(site / "page.html", "22")
    write(site / "unused.py", "22")
    (site / "__pycache__").mkdir(exist_ok=True)
    write(site / "__pycache__" / "other.cpython-311.pyc", "22")
    (site / "other.py").read_text()
    (site / "other.py").chmod(0o600)
    always(lambda: server.worker_pids() == before and reloads(server) == 0, 0.5)
    os.utime(site / "other.py")
    wait_until(lambda: reloads(server) == 1, what="a touch counts")
    settled(server)


def test_without_reload_nothing_is_watched(serve, site):
    server = serve("site_app:application", "--chdir", str(site))
    before = server.worker_pids()
    write(site / "site_app.py", APP.format(text="22"))
    always(lambda: server.worker_pids() == before and server.get().text == "1.0", 0.5)
    assert not watching_threads(server)


def test_the_settings_file_is_watched_and_a_slip_in_it_is_survived(serve, site):
    text = f'reload = true\nchdir = "{site}"\nworkers = '
    server = serve("site_app:application", settings=f"{text}1\n", workers=0)
    server.write_settings(f"{text}several\n")
    server.wait_log("can't be loaded; generation 1 goes on")
    server.write_settings(f"{text}2\n")
    wait_until(lambda: len(server.worker_pids()) == 2 and {w.generation for w in server.live()} == {2}, 15, server.tail)


def test_a_request_that_hangs_holds_nothing_up(start, site):
    app = APP.format(text="1") + "\ndef hang(environ, start_response):\n    import time\n"
    app += "    print('hanging', file=environ['wsgi.errors'], flush=True)\n    time.sleep(3600)\n"
    routes = "\nplain = application\n"
    routes += "def application(environ, start_response):\n"
    routes += "    return (hang if environ['PATH_INFO'] == '/hang' else plain)(environ, start_response)\n"
    write(site / "site_app.py", app + routes)
    server = start("--graceful-timeout", "2")
    (old,) = server.worker_pids()
    with server.wire() as wire:
        wire.get("/hang")
        server.wait_log("hanging")
        write(site / "other.py", "text = '.new'\n")
        answers(server, "1.new")
    wait_until(lambda: not alive(old), 15, server.tail)


def test_warmup_is_left_out(start, site):
    write(site / "site_app.py", APP.format(text="1").replace("200 OK", "500 Oh no"))
    server = start("--warmup", "/")
    assert server.get().status == 500


def test_check_config_still_tells_what_is_wrong(tmp_path, site):
    write(site / "other.py", "def broken(:\n")
    done = run_tapster("--check-config", "--reload", "--chdir", site, "site_app:application", cwd=tmp_path)
    assert done.returncode == 3 and "SyntaxError" in done.stderr


def test_a_warning_says_that_it_is_for_development(start):
    assert "reload is on, which is for development" in start().log()


def watching_threads(server):
    """The threads of the workers that watch files."""
    found = []
    for pid in server.worker_pids():
        found += [name for name in threads(pid) if name.startswith(("tapster-watch", "notify"))]
    return found


@preload_or_not
def test_where_the_application_has_closed_what_hears_of_changes_the_files_are_looked_at(start, site, preload):
    (site / "apart").mkdir()
    write(site / "apart" / "module.py", "")
    write(site / "site_app.py", CLOSES)
    server = start(preload=preload)
    assert server.get("/close").text == "open"
    server.wait_log("looks at all files each second, since the descriptors")
    write(site / "site_app.py", APP.format(text="new"))
    answers(server, "new.0")
    assert "panicked" not in server.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_no_thread_that_watches_is_left_when_the_worker_ends(start, site, tmp_path, number):
    left = tmp_path / "left"
    source = APP.format(text="1") + f'''
import atexit, os, time

def threads():
    names = []
    for thread in os.listdir("/proc/self/task"):
        try:
            names.append(open(f"/proc/self/task/{{thread}}/comm").read().strip())
        except OSError:
            pass
    return [name for name in names if name.startswith(("tapster-watch", "notify"))]

@atexit.register
def tell():
    end = time.monotonic() + 1
    while threads() and time.monotonic() < end:
        time.sleep(0.01)
    with open({str(left)!r}, "w") as file:
        file.write(repr(threads()))
'''
    write(site / "site_app.py", source)
    server = start()
    assert len(watching_threads(server)) == 2
    assert server.stop(number) == 0
    assert left.read_text() == "[]"


def test_a_browser_that_stays_connected_gets_the_new_code(start, site):
    server = start()
    with server.wire() as wire:
        assert wire.exchange("/").text == "1.0"
        write(site / "other.py", "text = '.new'\n")
        answers(server, "1.new")
        settled(server)
        # It is closed, so that the browser asks anew instead of staying with the old code.
        wire.expect_closed()
    assert server.get("/").text == "1.new"
