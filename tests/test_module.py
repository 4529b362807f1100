"""The module `tapster`: functions that are called in each worker, and an exception; harmless under any other server."""

import importlib.util
import re
import signal
import subprocess
import textwrap

import pytest

from harness import INTERPRETERS, ROOT, TAPSTER, Truncated, run_tapster
from harness.interpreters import default_interpreter, on_every_interpreter
from harness.paths import APPS
from harness.ports import free_port

pytestmark = pytest.mark.tapster
SOURCE = ROOT / "worker" / "python" / "src" / "module_tapster" / "tapster.py"
IN_ORDER = ["first", "second", "open-a", "open-b"]
IN_REVERSE = ["late", "early", "close-b", "close-a"]


@pytest.fixture
def events(tmp_path):
    """Reads what was called: (event, pid) in order. All of it is called in main threads."""
    path = tmp_path / "events"
    path.touch()

    def read():
        lines = [line.split() for line in path.read_text().splitlines()]
        assert all(main == "True" for _, _, main in lines), lines
        return [(event, int(pid)) for event, pid, _ in lines]

    read.env = {"REGISTERED": str(path)}
    return read


def of(events, pid):
    """What was called in one process, in order."""
    return [event for event, where in events() if where == pid]


# In workers.


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=lambda each: each.name)
@pytest.mark.parametrize("preload", [True, False])
def test_functions_run_in_each_worker_at_its_beginning_and_end(serve, events, interpreter, preload):
    interpreter.require()
    options = ["--preload"] if preload else []
    server = serve("registered:application", *options, workers=2, interpreter=interpreter, env=events.env)
    pids, template = server.worker_pids(), server.template_pid()
    beginning = IN_ORDER if preload else ["import", *IN_ORDER]
    assert {pid: of(events, pid) for pid in pids} == dict.fromkeys(pids, beginning)
    assert server.stop(signal.SIGTERM) == 0
    assert {pid: of(events, pid) for pid in pids} == dict.fromkeys(pids, [*beginning, *IN_REVERSE])
    assert {pid for _, pid in events()} == (pids | {template} if preload else pids)


def test_functions_run_in_workers_that_are_forked_later_too(serve, events):
    server = serve("registered:application", "--preload", env=events.env)
    (old,) = server.worker_pids()
    server.reload()
    (new,) = server.worker_pids()
    assert of(events, new) == IN_ORDER
    assert of(events, old) == [*IN_ORDER, *IN_REVERSE]


def test_a_request_is_served_only_when_all_functions_have_run(serve, events):
    server = serve("registered:application", "--threads", "4", env=events.env)
    pid, version, name = server.get().text.split()
    assert of(events, int(pid)) == ["import", *IN_ORDER]
    told = subprocess.run([str(TAPSTER), "--version"], capture_output=True, text=True, check=True, timeout=20).stdout
    assert (told.strip(), name) == (f"tapster {version}", "tapster")


@pytest.mark.parametrize(("how", "error"), [("raise", "RuntimeError: first fails"), ("leave", "SystemExit: 0")])
def test_a_worker_in_which_a_function_fails_does_not_serve_and_the_log_says_which(tmp_path, events, how, error):
    bind = f"127.0.0.1:{free_port()}"
    options = ["--python", default_interpreter().python, "--bind", bind, "--pythonpath", APPS]
    env = {**events.env, "FAIL": f"{how}:first"}
    done = run_tapster(*options, "registered:application", cwd=tmp_path, env=env)
    assert done.returncode == 3, done.stderr
    assert "the post_fork function registered.first failed:\nTraceback (most recent call last):" in done.stderr
    assert error in done.stderr
    assert "second" not in [event for event, _ in events()]


@pytest.mark.parametrize(("how", "error"), [("raise", "RuntimeError: late fails"), ("leave", "SystemExit: 0")])
def test_a_function_that_fails_at_the_end_is_logged_and_the_others_still_run(serve, events, how, error):
    server = serve("registered:application", env={**events.env, "FAIL": f"{how}:late"})
    (pid,) = server.worker_pids()
    assert server.stop(signal.SIGTERM) == 0
    assert of(events, pid)[-4:] == IN_REVERSE
    server.wait_log(rf"\[ERROR\] the worker_exit function registered\.late failed:\nTraceback (.*\n)+?{error}")


def test_functions_do_not_run_where_the_settings_are_only_checked(tmp_path, events):
    options = ["--check-config", "--python", default_interpreter().python, "--pythonpath", APPS]
    done = run_tapster(*options, "registered:application", cwd=tmp_path, env=events.env)
    assert done.returncode == 0, done.stderr
    assert [event for event, _ in events()] == ["import"]


def test_a_process_that_a_function_forks_is_no_second_worker(serve, tmp_path):
    (tmp_path / "forks.py").write_text(
        "import os, tapster\n"
        "@tapster.post_fork\n"
        "def fork():\n"
        "    child = os.fork()\n"
        "    if child:\n"
        f"        open('{tmp_path}/child', 'w').write(str(child))\n"
        "        os.waitpid(child, 0)\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [str(os.getpid()).encode()]\n"
    )
    server = serve("forks:application", "--pythonpath", tmp_path)
    (worker,) = server.worker_pids()
    assert {server.get().text for _ in range(10)} == {str(worker)}
    server.wait_log(rf"\[{(tmp_path / 'child').read_text()}\] \[WARNING\] a process that the application forked")


def test_processes_that_are_spawned_run_the_code_that_the_documents_guard(serve, tmp_path):
    guarded = re.search(r"^    try:\n(    .*\n)+?\n", (ROOT / "docs" / "wsgi.md").read_text(), re.MULTILINE)[0]
    (tmp_path / "spawns.py").write_text(
        f"import multiprocessing, sys\n{textwrap.dedent(guarded)}"
        "@post_fork\n"
        "def called():\n"
        "    print('called', flush=True)\n"
        "def work(number):\n"
        "    return (number, 'tapster' in sys.modules)\n"
        "def application(environ, start_response):\n"
        "    with multiprocessing.get_context(environ['QUERY_STRING']).Pool(1) as pool:\n"
        "        found = pool.map(work, [1, 2])\n"
        "    start_response('200 OK', [])\n"
        "    return [repr(found).encode()]\n"
    )
    server = serve("spawns:application", "--pythonpath", tmp_path)
    for method in ("spawn", "forkserver"):
        assert server.get(f"/?{method}").text == "[(1, False), (2, False)]"
    assert server.log().count("called\n") == 1


@pytest.mark.parametrize("own", ["tapster.py", "tapster/__init__.py"])
def test_a_module_of_the_same_name_is_hidden_and_the_log_says_so(tmp_path, own):
    (tmp_path / own).parent.mkdir(exist_ok=True)
    (tmp_path / own).write_text("")
    (tmp_path / "uses.py").write_text("import tapster\nfound = tapster.RequestTimeout\ndef app(environ, start): pass\n")
    done = run_tapster("--check-config", "--python", default_interpreter().python, "uses:app", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"the application can't import {tmp_path / own}: `import tapster` gives the server's own module" in done.stderr


def test_an_application_that_is_named_as_the_module_is_told_why_it_is_not_found(tmp_path):
    (tmp_path / "tapster").mkdir()
    (tmp_path / "tapster" / "wsgi.py").write_text("def app(environ, start): pass\n")
    done = run_tapster("--check-config", "--python", default_interpreter().python, "tapster.wsgi:app", cwd=tmp_path)
    assert done.returncode == 3
    assert "No module named 'tapster.wsgi'; 'tapster' is not a package" in done.stderr


# RequestTimeout.


@pytest.fixture(scope="module", params=on_every_interpreter("module"))
def server(request, serve_module, tmp_path_factory):
    """One worker with the application that raises RequestTimeout, shared by the tests of one CPython."""
    request.param.require()
    events = tmp_path_factory.mktemp("events") / "events"
    return serve_module("registered:application", interpreter=request.param, env={"REGISTERED": str(events)})


def test_a_request_timeout_that_leaves_the_application_is_one_line_and_a_504(server):
    reply = server.get("/raise-in-call")
    assert (reply.status, reply.header("connection")) == (504, "close")
    server.wait_log(r"\[WARNING\] request GET /raise-in-call was interrupted after its timeout\n")
    assert "Traceback" not in server.log()


def test_a_request_timeout_behind_a_part_of_the_body_breaks_the_connection(server):
    with server.wire() as wire, pytest.raises(Truncated) as raised:
        wire.exchange("/raise-in-body")
    assert raised.value.reply.body == b"part"
    server.wait_log(r"\[WARNING\] request GET /raise-in-body was interrupted after its timeout\n")
    assert "Traceback" not in server.log()


def test_a_request_timeout_in_close_leaves_the_reply_whole(server):
    with server.wire() as wire:
        assert wire.exchange("/raise-in-close").body == b"body"
        wire.expect_open()
    server.wait_log(r"\[WARNING\] request GET /raise-in-close was interrupted after its timeout\n")
    assert "Traceback" not in server.log()


# By itself.


def load():
    """The module, new, as another server's process would import it."""
    spec = importlib.util.spec_from_file_location("tapster", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=lambda each: each.name)
def test_it_can_be_imported_by_itself_and_does_nothing(interpreter, tmp_path):
    interpreter.require()
    (tmp_path / "uses.py").write_text(
        "import tapster\n"
        "@tapster.post_fork\n"
        "def never(): raise SystemExit('called')\n"
        "tapster.worker_exit()(never)\n"
        "print(tapster.__version__, sorted(tapster.__all__))\n"
    )
    command = [str(interpreter.python), "-W", "error", "uses.py"]
    env = {"PYTHONPATH": str(SOURCE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert done.stdout == f"{version} ['RequestTimeout', '__version__', 'post_fork', 'worker_exit']\n"


@pytest.mark.parametrize("name", ["post_fork", "worker_exit"])
def test_a_decorator_returns_the_function_itself(name):
    decorator = getattr(load(), name)

    def function():
        """Is returned."""

    assert decorator(function) is function
    assert decorator()(function) is function


@pytest.mark.parametrize("name", ["post_fork", "worker_exit"])
@pytest.mark.parametrize("wrong", [5, "name", [], b""])
def test_what_can_not_be_called_is_refused_when_it_is_registered(name, wrong):
    decorator = getattr(load(), name)
    with pytest.raises(TypeError, match=f"@tapster.{name} .* not {type(wrong).__name__}"):
        decorator(wrong)
    with pytest.raises(TypeError, match="not NoneType"):
        decorator()(None)


def test_request_timeout_is_not_stopped_by_except_exception():
    timeout = load().RequestTimeout
    assert issubclass(timeout, BaseException) and not issubclass(timeout, Exception)


def test_a_module_that_is_imported_again_registers_its_functions_once():
    module, source = load(), "@post_fork\ndef open_pool(): pass\npost_fork(lambda: 1)\npost_fork(lambda: 1)\n"
    namespaces = [{"__name__": "site", "post_fork": module.post_fork} for _ in range(2)]
    exec(source, namespaces[0])
    assert len(module._post_fork) == 3
    exec(source, namespaces[1])
    named = [function for function in module._post_fork if function.__name__ == "open_pool"]
    assert named == [namespaces[1]["open_pool"]], "the newer one is kept, in the place of the older"


def test_functions_that_are_made_alike_are_each_registered():
    module = load()

    def make(number):
        return lambda: number

    class Pool:
        def open(self):
            """One for each pool."""

    one, other = Pool(), Pool()
    for function in (make(1), make(2), one.open, other.open, one.open):
        module.post_fork(function)
    assert len(module._post_fork) == 4


def test_its_own_state_survives_being_executed_again():
    module = load()
    module.post_fork(print)
    module.__spec__.loader.exec_module(module)
    assert module._post_fork == [print]
