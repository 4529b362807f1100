"""The pid file: locked while its server runs, replaced when it was left behind, and an error where it can't be written."""

import os
import signal
import subprocess
import tempfile

import pytest

from harness import TAPSTER, run_tapster, wait_until

pytestmark = pytest.mark.tapster


@pytest.mark.parametrize("text", [f"{os.getpid()}\n", "1\n", "no number", ""], ids=["runs", "init", "garbage", "empty"])
def test_one_that_was_left_behind_is_replaced_though_a_process_has_its_number(serve, tmp_path, text):
    path = tmp_path / "server.pid"
    path.write_text(text)
    server = serve("shapes:function", "--pid", str(path))
    assert path.read_text() == f"{server.pid}\n"
    server.wait_log(f"The pid file {path} was left behind by .*, and is replaced")
    assert sorted(tmp_path.glob("server.pid*")) == [path]


def test_one_of_a_server_that_runs_is_an_error_that_names_it_and_nothing_is_bound(serve, tmp_path):
    path = tmp_path / "server.pid"
    first = serve("shapes:function", "--pid", str(path))
    second = serve("shapes:function", "--pid", str(path), wait=False)
    second.expected_exit = 1
    assert second.wait_exit() == 1
    assert f"is that of process {first.pid}, a server that runs" in second.log()
    assert "Listening at" not in second.log()
    assert path.read_text() == f"{first.pid}\n"
    first.stop(signal.SIGTERM)
    assert not path.exists()


def test_of_servers_that_start_at_once_one_gets_it(serve, tmp_path):
    path = tmp_path / "server.pid"
    path.write_text("1\n")
    servers = [serve("shapes:function", "--pid", str(path), wait=False) for _ in range(4)]
    for server in servers:
        server.expected_exit = None
    wait_until(lambda: sum(server.exited() for server in servers) == 3, 20, "three of four give up")
    (left,) = [server for server in servers if not server.exited()]
    left.wait_ready()
    assert path.read_text() == f"{left.pid}\n"
    assert all("a server that runs" in server.log() for server in servers if server is not left)
    assert sorted(tmp_path.glob("server.pid*")) == [path]


def test_a_reload_does_not_touch_it(serve, tmp_path):
    path = tmp_path / "server.pid"
    server = serve("shapes:function", settings=f'pid = "{path}"\n')
    before = path.stat()
    server.write_settings(f'pid = "{tmp_path / "other.pid"}"\n')
    server.reload()
    assert path.stat() == before and not (tmp_path / "other.pid").exists()
    server.wait_log("The setting pid has changed, but stays as it was until a restart")


def unwritable(tmp_path, case):
    """A path that can't be written to, and what is said about it."""
    if case == "no directory":
        return tmp_path / "none" / "server.pid", f"{tmp_path / 'none'}, which does not exist"
    return tmp_path, f"{tmp_path}, which is a directory: name a file in it"


@pytest.mark.parametrize("case", ["no directory", "a directory"])
def test_one_that_can_not_be_written_is_an_error_before_anything_is_bound(serve, tmp_path, python, case):
    path, says = unwritable(tmp_path, case)
    server = serve("shapes:function", "--pid", str(path), wait=False)
    server.expected_exit = 2
    assert server.wait_exit() == 2
    assert says in server.log() and "--pid names" in server.log()
    assert "Listening at" not in server.log()


def test_one_that_the_system_refuses_is_an_error_before_anything_is_bound(serve):
    # Root may write to any directory, but nobody makes a file in this one.
    server = serve("shapes:function", "--pid", "/proc/server.pid", wait=False)
    server.expected_exit = 1
    assert server.wait_exit() == 1
    assert "the pid file /proc/server.pid can't be written" in server.log()
    assert "Listening at" not in server.log()


@pytest.mark.parametrize("case", ["no directory", "a directory"])
def test_check_config_says_so_too_and_writes_nothing(tmp_path, python, case):
    path, says = unwritable(tmp_path, case)
    command = ["--python", python, "--pythonpath", str(tmp_path), "--pid", str(path), "--check-config", "checked:app"]
    (tmp_path / "checked.py").write_text("def app(environ, start_response): pass\n")
    done = run_tapster(*command, cwd=tmp_path)
    assert done.returncode == 2 and says in done.stderr, done
    good = run_tapster(*command[:4], "--pid", str(tmp_path / "server.pid"), *command[-2:], cwd=tmp_path)
    assert good.returncode == 0 and not (tmp_path / "server.pid").exists(), good


def test_check_config_beside_a_server_that_runs_finds_nothing_wrong(serve, tmp_path, python):
    path = tmp_path / "server.pid"
    server = serve("shapes:function", "--pid", str(path))
    options = server.command()[1:]
    done = run_tapster(*options, "--check-config", cwd=tmp_path)
    assert done.returncode == 0, done
    assert path.read_text() == f"{server.pid}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_user_who_may_not_write_to_the_directory_is_told_so(python):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        as_nobody = {"cwd": "/", "user": 65534, "capture_output": True, "text": True, "timeout": 20}
        try:
            subprocess.run([str(TAPSTER), "--version"], check=True, **as_nobody)
        except PermissionError:
            pytest.skip("this checkout is not readable for other users")
        done = subprocess.run([str(TAPSTER), "--python", python, "--pid", f"{folder}/server.pid", "shapes"], **as_nobody)
    assert done.returncode == 2
    assert f"in {folder}, which cannot be used: the user that the server runs as may not write there" in done.stderr
