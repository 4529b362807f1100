"""The command line: the forms of APP, what is printed, exit statuses, and the messages of what goes wrong."""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import closing

import pytest

from harness import APPS, TAPSTER, Server, request, run_tapster, wait_until
from harness.ports import free_port
from harness.server import clean_environment

pytestmark = pytest.mark.tapster


@pytest.fixture
def tapster(tmp_path, python):
    """Runs tapster to its end, on a free port, with the suite's applications to be imported."""

    def run(*arguments, env=None, cwd=tmp_path):
        bind = ("--bind", f"127.0.0.1:{free_port()}") if "--bind" not in arguments else ()
        return run_tapster("--python", python, "--pythonpath", APPS, *bind, *arguments, cwd=cwd, env=env)

    return run


# APP.


@pytest.mark.parametrize(
    ("app", "body"),
    [
        ("shapes:function", "function"),
        ("shapes", "application"),
        ("only_app", "only app"),
        ("package.inner.site:site.nested.app", "function"),
        ("package.inner.site:make()", "function"),
        ("package.inner.site:configured('x', suffix='?')", "x?"),
        (f"{APPS}/shapes.py:function", "function"),
        (f"{APPS}/shapes.py", "application"),
    ],
)
def test_an_application_can_be_named_in_each_form(serve, app, body):
    assert serve(app).get().text == body


def test_a_path_to_an_application_is_relative_to_the_working_directory(serve, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "sibling.py").write_text("NAME = b'from a sibling'\n")
    (tmp_path / "sub" / "site_here.py").write_text(
        "import sibling\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    return [sibling.NAME]\n"
    )
    assert serve("sub/site_here.py:app").get().text == "from a sibling"


def test_a_module_is_found_in_the_working_directory(serve, tmp_path):
    shutil.copy(APPS / "only_app.py", tmp_path / "here.py")
    assert serve("here:app").get().text == "only app"


def test_an_application_named_in_the_settings_is_served_without_one_on_the_command_line(serve):
    assert serve(None, settings='wsgi_app = "shapes:generator"\n').get().text == "generator"


# What goes wrong, and with which status.


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])
def test_a_module_that_is_not_there_is_named_with_a_traceback_and_exits_3(tapster, preload):
    done = tapster(*preload, "no_such_module:app")
    assert done.returncode == 3, done.stderr
    assert "No module named 'no_such_module'" in done.stderr


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])
@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_dependency\n", "No module named 'no_such_dependency'"),
        ("raise ValueError('told to')\n", "ValueError: told to"),
    ],
    ids=["syntax", "dependency", "exception"],
)
def test_a_module_that_cannot_be_imported_gives_its_traceback_once_and_exits_3(tapster, tmp_path, source, error, preload):
    (tmp_path / "broken.py").write_text(source)
    done = tapster(*preload, "--workers", "3", "broken:app")
    assert done.returncode == 3, done.stderr
    assert "broken.py" in done.stderr and "line 1" in done.stderr
    assert done.stderr.count(error) == 1, done.stderr


def test_workers_that_are_forked_while_another_fails_say_nothing_and_are_gone_with_the_server(tapster, tmp_path):
    (tmp_path / "broken.py").write_text("raise ValueError('told to')\n")
    for _ in range(20):
        done = tapster("--workers", "8", "broken:app")
        assert done.returncode == 3, done.stderr
        assert done.stderr.count("told to") == 2, "the line and the exception, once:\n" + done.stderr
        assert done.stderr.count("[ERROR]") == 1 and "[WARNING]" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("shapes:no_such", ["no_such", "shapes"]),
        ("shapes:functoin", ["functoin", "function"]),
        ("shapes:instance.nowhere", ["nowhere"]),
        ("shapes:not_callable", ["not_callable", "int"]),
        ("shapes:not_callable()", ["not_callable"]),
        ("package", ["application", "app"]),
    ],
)
def test_an_attribute_that_will_not_do_says_what_was_found_and_exits_4(tapster, app, says):
    done = tapster(app)
    assert done.returncode == 4, done.stderr
    for word in says:
        assert word in done.stderr


def test_a_factory_that_fails_gives_its_traceback_and_exits_3(tapster):
    done = tapster("package.inner.site:configured()")
    assert done.returncode == 3, done.stderr
    assert "missing 1 required positional argument" in done.stderr


@pytest.mark.parametrize(("app", "status"), [(":app", 3), ("shapes:a b", 4), ("shapes:function(", 4)])
def test_an_app_of_no_known_form_is_refused(tapster, app, status):
    done = tapster(app)
    assert done.returncode == status, done.stderr
    assert "panicked" not in done.stderr and "Traceback" not in done.stderr
    assert app in done.stderr


def test_no_application_at_all_says_how_to_name_one(tapster):
    done = tapster()
    assert done.returncode == 2
    assert "wsgi_app" in done.stderr


def test_an_address_in_use_is_named_with_the_reason_and_exits_1(tapster):
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = tapster("--bind", address, "shapes:function")
    assert done.returncode == 1
    assert address in done.stderr and "in use" in done.stderr


@pytest.mark.parametrize("address", ["192.0.2.1:80", "unix:/no/such/folder/s.sock", "fd://77", "fd://3", "fd://4"])
def test_an_address_that_cannot_be_bound_is_named_and_exits_1(tapster, address):
    done = tapster("--bind", address, "shapes:function")
    assert done.returncode == 1, done.stderr
    assert address.removeprefix("unix:") in done.stderr
    if address.startswith("fd:"):
        assert "nothing was passed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--wrokers", "2"], ["--wrokers", "--workers"]),
        (["--workers"], ["--workers"]),
        (["--workers", "many"], ["workers", "many"]),
        (["--timeout", "soon"], ["timeout", "soon"]),
        (["--bind", "nonsense:port"], ["nonsense:port"]),
        (["one:app", "two:app"], ["two:app"]),
    ],
)
def test_wrong_options_exit_2_and_say_which(tapster, arguments, says):
    done = tapster(*arguments)
    assert done.returncode == 2, done.stderr
    for word in says:
        assert word in done.stderr


def test_a_folder_to_change_to_that_is_not_there_is_named(tapster):
    done = tapster("--chdir", "/no/such/folder", "shapes:function")
    assert done.returncode == 2
    assert "/no/such/folder" in done.stderr


# What is printed.


def test_version_names_the_program_and_exits_0(tmp_path):
    done = run_tapster("-V", cwd=tmp_path)
    assert done.returncode == 0
    assert re.fullmatch(r"tapster \d+\.\d+\.\d+\n", done.stdout)


def test_help_tells_of_every_option_and_exits_0(tmp_path):
    done = run_tapster("--help", cwd=tmp_path)
    assert done.returncode == 0
    options = "bind workers config timeout graceful-timeout keep-alive chdir pythonpath env pid preload log-level"
    for name in f"{options} error-logfile python check-config print-config".split():
        assert f"--{name}" in done.stdout, name
    assert all(len(line) <= 120 for line in done.stdout.splitlines())


def test_check_config_imports_the_application_binds_nothing_and_exits_0(tapster, tmp_path):
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        imports = tmp_path / "imports"
        arguments = ("--check-config", "--bind", f"127.0.0.1:{taken.getsockname()[1]}", "ops:application")
        done = tapster(*arguments, env={"OPS_IMPORTS": str(imports)})
    assert done.returncode == 0, done.stderr
    assert imports.read_text()


@pytest.mark.parametrize(("app", "status"), [("no_such_module:app", 3), ("shapes:no_such", 4)])
def test_check_config_fails_as_a_start_would(tapster, app, status):
    done = tapster("--check-config", app)
    assert done.returncode == status
    assert app.partition(":")[0] in done.stderr


# Options about the process.


def test_variables_given_by_e_are_in_the_applications_environment(serve):
    server = serve("ops:application", "-e", "FIRST=1", "--env", "SECOND=a=b c")
    found = server.get("/about").json["environment"]
    assert (found["FIRST"], found["SECOND"]) == ("1", "a=b c")


def test_chdir_changes_the_directory_before_the_import(serve, tmp_path):
    (tmp_path / "below").mkdir()
    shutil.copy(APPS / "ops.py", tmp_path / "below" / "here.py")
    server = serve("here:application", "--chdir", "below")
    assert server.get("/about").json["cwd"] == str(tmp_path / "below")


def test_pythonpath_comes_before_what_is_installed(serve, tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "bottle.py").write_text(
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'mine']\n"
    )
    assert serve("bottle:application", "--pythonpath", str(tmp_path / "first")).get().text == "mine"


def test_the_pid_file_holds_the_arbiters_pid_and_is_removed_at_the_end(serve, tmp_path):
    path = tmp_path / "server.pid"
    server = serve("shapes:function", "--pid", str(path))
    assert path.read_text().strip() == str(server.pid)
    server.reload()
    assert path.read_text().strip() == str(server.pid)
    assert server.stop(signal.SIGTERM) == 0
    assert not path.exists()


def test_a_pid_file_left_by_a_dead_server_is_no_obstacle(serve, tmp_path):
    path = tmp_path / "server.pid"
    first = serve("shapes:function", "--pid", str(path))
    first.expected_exit = None
    first.stop(signal.SIGKILL)
    assert path.exists()
    second = serve("shapes:function", "--pid", str(path))
    assert path.read_text().strip() == str(second.pid)


def test_error_logfile_takes_the_log(serve, tmp_path):
    path = tmp_path / "errors.log"
    server = serve("conformance:application", "--error-logfile", str(path), wait=False)
    wait_until(lambda: path.exists() and "Worker ready" in path.read_text(), 20, "the log is in its file")
    assert server.get("/raise-before").status == 500
    wait_until(lambda: "RuntimeError: raised before" in path.read_text(), what="a traceback in the file")
    assert "Worker ready" not in server.log()


def test_log_level_leaves_out_what_is_less(serve):
    server = serve("conformance:application", "--log-level", "error", wait=False)
    wait_until(lambda: _answers(server), 20, "answers")
    assert server.get("/raise-before").status == 500
    server.wait_log("RuntimeError: raised before")
    assert "[INFO]" not in server.log()


def _answers(server):
    try:
        return server.get("/hello").status == 200
    except OSError:
        return False


def test_each_log_line_has_its_time_its_process_and_its_level(serve):
    server = serve("shapes:function")
    server.stop()
    line = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \[(INFO|WARN|WARNING|ERROR|DEBUG)\] .+")
    for each in server.log().splitlines():
        assert line.fullmatch(each), each
    assert re.search(rf"\[{server.pid}\] \[INFO\] Listening at: .*{re.escape(server.bind)}", server.log())


def test_an_inherited_socket_is_served(serve, tmp_path):
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        server = Server("shapes:function", cwd=tmp_path, bind=f"fd://{listener.fileno()}")
        address = listener.getsockname()
        with closing(server.start(pass_fds=[listener.fileno()])):
            assert request(address, "GET", "/").text == "function"


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--no-such-option"], 2), (["no_such_module:app"], 3), (["--check-config", "shapes"], 0)]
)
def test_a_terminal_that_is_gone_changes_no_exit_status(tmp_path, python, arguments, status):
    read, write = os.pipe()
    os.close(read)
    bind = ("--bind", f"127.0.0.1:{free_port()}")
    command = [str(TAPSTER), "--python", python, "--pythonpath", str(APPS), *bind, *arguments]
    try:
        done = subprocess.run(
            command, cwd=tmp_path, env=clean_environment("gone"), stdin=subprocess.DEVNULL, stdout=write, stderr=write,
            timeout=20,
        )
    finally:
        os.close(write)
    assert done.returncode == status


def test_a_log_that_nobody_reads_holds_up_no_reload_and_no_stop(tmp_path, python):
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    port = free_port()
    options = ("--python", python, "--pythonpath", str(APPS), "--bind", f"127.0.0.1:{port}")
    command, env = [str(TAPSTER), *options, "ops:application"], clean_environment("unread")
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, stderr=write) as server:
        try:
            wait_until(lambda: _answers_at(port), 20, "answers")
            first = request(("127.0.0.1", port), "GET", "/pid").json
            os.set_blocking(write, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(write, b"x")  # of more, none is taken where not all has room
            os.set_blocking(write, True)
            server.send_signal(signal.SIGHUP)
            wait_until(lambda: request(("127.0.0.1", port), "GET", "/pid").json != first, 15, "a new worker serves")
            server.send_signal(signal.SIGTERM)
            assert server.wait(10) == 0
        finally:
            server.kill()
            os.close(read)
            os.close(write)


def _answers_at(port):
    try:
        return request(("127.0.0.1", port), "GET", "/hello").status == 200
    except OSError:
        return False
