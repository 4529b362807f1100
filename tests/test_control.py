"""The control socket: what tapsterctl is told and told the truth about, and what no client of it can do to the server."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import APPS, Load, run_tapster, wait_until
from harness.control import NAME, TAPSTERCTL, Control, read_all, result, run_tapsterctl
from harness.gate import Gate
from harness.ports import free_port
from harness.processes import alive, kill, open_files

pytestmark = pytest.mark.tapster
#: An application of a version; its import waits until the file WAIT_FOR exists, if one is named.
APP = '''
import os, time
while {wait_for!r} and not os.path.exists({wait_for!r}):
    time.sleep(0.01)

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{version}"]
'''
#: Whom nothing belongs to.
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


def deploy(directory, version, wait_for=""):
    """Writes the application, as a deploy does."""
    (directory / "deployed.py").write_text(APP.format(version=version, wait_for=str(wait_for)))


@pytest.fixture
def controlled(serve, tmp_path):
    """Starts servers with a control socket, of version 1 where no other application is named."""

    def start(app="deployed:application", *options, **settings):
        deploy(tmp_path, 1)
        return Control(serve(app, "--pythonpath", str(tmp_path), "--control-socket", NAME, *options, **settings))

    return start


# What it tells.


def test_the_status_tells_of_the_server_and_of_each_worker(controlled):
    control = controlled(workers=2)
    server = control.server
    for _ in range(5):
        server.get()
    status = control.status()
    assert (status["pid"], status["phase"], status["generation"]) == (server.pid, "up", 1)
    assert (status["workers_desired"], status["workers_ready"], status["last_reload"]) == (2, 2, None)
    assert [each["template_pid"] for each in status["generations"]] == [server.template_pid()]
    workers = status["workers"]
    assert {each["pid"] for each in workers} == server.worker_pids()
    assert {each["state"] for each in workers} == {"ready"}
    assert 0 <= status["uptime"] < 60 and all(0 <= each["age"] <= status["uptime"] for each in workers)
    wait_until(lambda: sum(each["requests"] for each in control.status()["workers"]) == 5, what="five requests counted")
    text = control.ok("status")
    assert f"(pid {server.pid})" in text and "workers: 2 ready, 2 wanted" in text
    assert all(str(pid) in text for pid in server.worker_pids())


def test_the_socket_is_found_by_the_settings_as_the_server_finds_its_own(controlled, tmp_path):
    control = controlled(settings=f'control_socket = "{NAME}"\nworkers = 1\n')
    assert run_tapsterctl("status", cwd=tmp_path).returncode == 0
    (tmp_path / "else").mkdir()
    elsewhere = {"cwd": tmp_path / "else"}
    assert run_tapsterctl("status", env={"TAPSTER_CONTROL_SOCKET": str(control.path)}, **elsewhere).returncode == 0
    assert run_tapsterctl("--config", tmp_path / "tapster.toml", "status", **elsewhere).returncode == 3, "cwd is another"
    nowhere = run_tapsterctl("status", **elsewhere)
    assert nowhere.returncode == 2 and "no control socket is named" in nowhere.stderr
    control.server.write_settings(f'control_socket = "{NAME}"\nworkers = "many"\n')
    assert run_tapsterctl("status", cwd=tmp_path).returncode == 0, "other settings may be wrong"


# Reloads.


def test_reload_returns_when_the_new_code_serves(controlled, tmp_path):
    control = controlled(workers=2)
    for version in (2, 3):
        deploy(tmp_path, version)
        assert control.ok("reload") == f"generation {version} serves\n"
        # The last of the old workers have been told to go, and may not have heard it yet.
        wait_until(lambda: {control.server.get().text for _ in range(9)} == {str(version)}, 10, "the new code serves alone")
        reload = control.status()["last_reload"]
        assert (reload["succeeded"], reload["generation"], reload["reason"]) == (True, version, None)


@pytest.mark.parametrize("preload", [False, True], ids=["no_preload", "preload"])
def test_a_reload_that_fails_says_why_with_the_traceback(controlled, tmp_path, preload):
    control = controlled("deployed:application", *(["--preload"] if preload else []))
    (tmp_path / "deployed.py").write_text("raise RuntimeError('not today: \"é\"')\n")
    done = control.run("reload")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tapsterctl: ")
    assert 'RuntimeError: not today: "é"' in done.stderr and 'deployed.py", line 1' in done.stderr
    reload = control.status()["last_reload"]
    assert reload["succeeded"] is False and 'RuntimeError: not today: "é"' in reload["reason"]
    assert control.server.get().text == "1"
    deploy(tmp_path, 2)
    assert control.run("reload").returncode == 0


def test_a_reload_of_wrong_settings_says_where(controlled):
    control = controlled(settings="", workers=None)
    control.server.write_settings("timeout = 5\nworkers = 'many'\n")
    done = control.run("reload")
    assert done.returncode == 1 and "tapster.toml:2:11: `workers` must be" in done.stderr
    assert control.status()["phase"] == "up"


def test_a_reload_asked_for_during_another_one_is_answered_by_its_own(controlled, tmp_path):
    control, release = controlled(), tmp_path / "release"
    deploy(tmp_path, 2, wait_for=release)
    first = control.start("reload")
    control.server.wait_log(rf"SIGHUP from pid {first.pid} \(tapsterctl\)")
    wait_until(lambda: control.status()["phase"] == "reloading", what="the first reload is under way")
    deploy(tmp_path, 3)
    second = control.start("reload")
    control.server.wait_log(rf"SIGHUP from pid {second.pid} \(tapsterctl\)")
    release.touch()
    assert result(second).returncode == 0
    wait_until(lambda: control.server.get().text == "3", 10)
    assert first.wait(10) in (0, 1), "it served until the second came, or gave way to it"
    result(first)


def test_who_does_not_wait_for_a_reload_is_told_at_once_or_in_time(controlled, tmp_path):
    control, release = controlled(), tmp_path / "release"
    deploy(tmp_path, 2, wait_for=release)
    assert "asked for" in control.ok("reload", "--no-wait")
    late = control.run("reload", "--timeout", "300ms")
    assert late.returncode == 1 and "not over within 0.3 s" in late.stderr
    killed = control.start("reload")
    control.server.wait_log(rf"SIGHUP from pid {killed.pid} ")
    killed.kill()
    result(killed)
    release.touch()
    wait_until(lambda: control.server.get().text == "2", 20)
    deploy(tmp_path, 3)
    wait_until(lambda: control.status()["phase"] == "up", 20)
    control.ok("reload")
    wait_until(lambda: control.server.get().text == "3", 10)


def test_who_waits_is_told_when_the_server_is_gone(controlled, tmp_path):
    control = controlled()
    deploy(tmp_path, 2, wait_for=tmp_path / "never")
    waits = control.start("reload")
    control.server.wait_log(rf"SIGHUP from pid {waits.pid} ")
    control.server.expected_exit = None
    control.server.send(signal.SIGKILL)
    done = result(waits)
    assert done.returncode == 1 and "the server has gone before it had answered" in done.stderr
    control.server.wait_exit()
    gone = control.run("status")
    assert gone.returncode == 3 and "nobody listens" in gone.stderr


# Everything else that it can be told.


def test_stop_returns_when_the_server_has_ended(controlled):
    control = controlled(workers=2)
    assert control.ok("stop") == "Tapster has stopped\n"
    assert control.server.wait_exit() == 0
    assert not control.path.exists()
    again = control.run("stop")
    assert again.returncode == 3 and "the socket is not there" in again.stderr


def test_a_quick_stop_hastens_one_that_waits_for_a_request_and_nothing_else_is_begun(controlled, tmp_path):
    gate = Gate(tmp_path / "gate")
    control = controlled("crowd:application")
    try:
        with control.server.wire() as wire:
            wire.get(f"/stay?{gate.path}")
            gate.wait_inside()
            waits = control.start("stop")
            control.server.wait_log(rf"SIGTERM from pid {waits.pid} \(tapsterctl\)")
            assert control.status()["phase"] == "stopping"
            for command in (["reload"], ["workers", "+1"]):
                refused = control.run(*command)
                assert (refused.returncode, refused.stderr) == (1, "tapsterctl: the server is stopping\n")
            assert "stopping" in control.ok("stop", "--quick", "--no-wait")
            assert result(waits).returncode == 0
    finally:
        gate.close()


def test_workers_come_and_go(controlled):
    control = controlled(workers=1)
    assert control.ok("workers", "+2") == "workers wanted: 3\n"
    wait_until(lambda: control.status()["workers_ready"] == 3, 15)
    assert control.ok("workers", "-1") == "workers wanted: 2\n"
    wait_until(lambda: len(control.server.worker_pids()) == 2, 15)
    assert control.ok("workers", "-100") == "workers wanted: 1\n"


def test_what_is_refused_returns_1_with_the_reason(controlled):
    control = controlled("deployed:application", "--drain-delay", "1h", workers=1)
    stops = control.start("stop")
    wait_until(lambda: control.status()["phase"] == "stopping", what="the drain delay has begun")
    for command in (["workers", "+1"], ["reload"], ["reload", "--no-wait"], ["upgrade"]):
        refused = control.run(*command)
        assert (refused.returncode, refused.stderr) == (1, "tapsterctl: the server is stopping\n"), command
    assert control.ok("reopen")
    assert control.ok("stop", "--quick") == "Tapster has stopped\n"
    assert result(stops).returncode == 0


def test_reopen_opens_the_log_anew_and_names_who_asked(serve, tmp_path):
    log = tmp_path / "error.log"
    control = Control(serve("shapes:function", "--control-socket", NAME, "--error-logfile", str(log), wait=False))
    wait_until(lambda: log.exists() and "Worker ready" in log.read_text(), 20, "the server is ready")
    log.rename(tmp_path / "error.log.1")
    control.ok("reopen")
    wait_until(lambda: log.exists() and "(tapsterctl)" in log.read_text(), 10, "the new log names who asked")


# The socket.


def test_only_its_owner_may_use_it_and_a_stale_one_is_replaced(controlled, tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / NAME))
    control = controlled()
    assert stat.S_IMODE(control.path.stat().st_mode) == 0o600
    assert control.status()["phase"] == "up"


def test_another_servers_socket_is_left_alone(controlled, serve, tmp_path):
    control = controlled()
    second = serve("shapes:function", "--control-socket", NAME, wait=False)
    second.expected_exit = 1
    assert second.wait_exit(20) == 1
    assert "control_socket can't be opened" in second.log() and NAME in second.log() and "in use" in second.log()
    assert control.status()["pid"] == control.server.pid


def test_what_another_has_put_in_its_place_is_not_removed(controlled):
    control = controlled()
    control.path.unlink()
    control.path.write_text("precious")
    control.server.stop()
    assert control.path.read_text() == "precious"


@pytest.mark.parametrize("options", [["--check-config"], []], ids=["check_config", "start"])
def test_a_place_where_no_socket_can_be_is_an_error_before_anything_serves(tmp_path, python, options):
    (tmp_path / "file").write_text("")
    for path, says in [("no/such/c.sock", "does not exist"), ("file", "is not a socket"), ("x" * 200, "107")]:
        bind = ["--bind", f"127.0.0.1:{free_port()}"]
        done = run_tapster(
            "--python", python, "--pythonpath", APPS, *bind, "--control-socket", path, *options, "shapes", cwd=tmp_path
        )
        assert done.returncode == 2 and "--control-socket" in done.stderr and says in done.stderr, done


def test_a_reload_does_not_move_it_and_says_so(controlled):
    control = controlled(settings="", workers=None)
    # The flag is stronger than the file, so the file alone names it here.
    control.server.stop()
    server = control.server
    server.options = tuple(each for each in server.options if each not in ("--control-socket", NAME))
    server.write_settings(f'control_socket = "{NAME}"\n')
    server.log_path.unlink()
    server.start()
    server.write_settings('control_socket = "moved.sock"\n')
    control.ok("reload")
    server.wait_log("The setting control_socket has changed, but stays as it was until a restart")
    assert not (server.cwd / "moved.sock").exists()


@as_root
def test_other_users_are_refused_and_the_log_names_them(controlled):
    # Not in the test's own folder, which other users can't enter.
    folder = Path(tempfile.mkdtemp(prefix="tapster-control-"))
    try:
        folder.chmod(0o755)
        control = controlled("deployed:application", "--control-socket", str(folder / NAME))
        control.path = folder / NAME
        # A program that this user may read, wherever the build lies.
        program = shutil.copy(TAPSTERCTL, folder / "tapsterctl")

        def as_nobody():
            command = [str(program), "-s", str(control.path), "stop"]
            return subprocess.run(command, cwd="/", user=NOBODY, group=NOBODY, capture_output=True, text=True, timeout=20)

        done = as_nobody()
        assert done.returncode == 3 and "as the user that the server runs as" in done.stderr, done
        control.path.chmod(0o666)
        done = as_nobody()
        assert done.returncode == 3 and f"not the user {NOBODY}" in done.stderr, done
        control.server.wait_log(rf"does not answer the user {NOBODY}, pid \d+ \(tapsterctl\)")
        assert control.status()["phase"] == "up"
    finally:
        shutil.rmtree(folder)


# Two servers.


def test_during_an_upgrade_each_server_is_asked_at_a_socket_of_its_own(upgrades, tmp_path):
    up = upgrades("--control-socket", NAME)
    first, second = Control(up.server), Control(up.server)
    second.path = tmp_path / f"{NAME}.2"
    up.up()
    assert (first.status()["pid"], second.status()["pid"]) == (up.old, up.new)
    for control, pid in ((first, up.new), (second, up.old)):
        refused = control.run("upgrade")
        assert refused.returncode == 1 and f"(pid: {pid})" in refused.stderr, refused
    second.ok("stop")
    up.forget()
    assert first.status()["pid"] == up.new and not second.path.exists()
    up.up()
    assert first.ok("stop") == "Tapster has stopped\n"
    up.wait_alone()
    wait_until(lambda: first.path.exists() and not second.path.exists(), 15, "the path is taken over")
    assert first.status()["pid"] == up.new


# What clients do to it.


def test_what_is_no_request_is_answered_with_what_there_is(controlled):
    control = controlled()
    assert control.says(b"status\nstop\n").startswith("> tapster ")
    assert control.says(b"help\n").startswith('! "help" is not a command; there are: status [json], reload')
    assert control.says(b"\x16\x03\x01\x02\x00\x01\n").endswith("exit 2\n")
    assert control.says(b"x" * 100_000).endswith("exit 2\n")
    with control.connect() as connection:
        connection.sendall(b"stat")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == "! the request has no line end\nexit 2\n"
    with control.connect() as connection:
        connection.sendall(b"status json\n")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).endswith("exit 0\n"), "who has said all may still hear"
    assert control.server.exited() is False


def test_clients_that_say_nothing_or_half_or_do_not_read_hold_up_nobody(controlled):
    control = controlled(workers=2)
    server = control.server
    with ExitStack() as stack:
        for number in range(32):
            connection = stack.enter_context(control.connect())
            connection.sendall([b"", b"rel", b"status"][number % 3] if number % 4 else b"status\n")
        victim = server.live()[0].pid
        kill([victim])
        wait_until(lambda: not alive(victim) and len(server.live()) == 2, 15, "the killed worker is replaced meanwhile")
        assert server.get().text == "1"
        assert control.status()["workers_ready"] == 2, "who waits behind them is answered once they are late"


def test_a_flood_of_garbage_costs_the_server_nothing(controlled):
    control = controlled(workers=2)
    server = control.server
    before = open_files(server.pid)

    def flood(number):
        for turn in range(50):
            with control.connect() as connection:
                try:
                    connection.sendall(os.urandom(257 + (number * 50 + turn) * 37 % 5000))
                    if turn % 2:
                        read_all(connection)
                except OSError:
                    continue

    with Load(server.address, connections=4) as load, ThreadPoolExecutor(8) as pool:
        done = [pool.submit(flood, number) for number in range(8)]
        victim = server.live()[0].pid
        kill([victim])
        wait_until(lambda: not alive(victim) and len(server.live()) == 2, 20, "the killed worker is replaced meanwhile")
        for each in done:
            each.result(60)
        assert control.status()["workers_ready"] == 2
    # One connection each may have been in the worker that was killed.
    assert len(load.lost) <= 4, load.lost
    wait_until(lambda: len(open_files(server.pid)) == len(before), 15, lambda: f"{open_files(server.pid)} is {before}")


def test_many_who_ask_at_once_under_load_lose_no_request(controlled, tmp_path):
    control = controlled(workers=2)
    with Load(control.server.address, connections=4) as load, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(control.says, b"status json\n") for _ in range(200)]
        deploy(tmp_path, 2)
        reloads = [pool.submit(control.run, "reload") for _ in range(3)]
        assert all(each.result(60).endswith("exit 0\n") for each in asked)
        assert [each.result(60) for each in reloads][-1].returncode in (0, 1)
        wait_until(lambda: control.status()["phase"] == "up", 20)
        load.wait_answered(20)
    assert not load.lost, load.lost[:5]


def test_disconnecting_in_the_midst_of_anything_leaves_nothing_behind(controlled):
    control = controlled()
    before = open_files(control.server.pid)
    for request in (b"", b"rel", b"reload\n", b"status\n", b"reload no-wait\n", b"\0\0\0"):
        with control.connect() as connection:
            connection.sendall(request)
    control.ok("reload")
    assert control.server.get().text == "1"
    wait_until(lambda: control.status()["phase"] == "up", 20)
    wait_until(lambda: len(open_files(control.server.pid)) == len(before), 15)


