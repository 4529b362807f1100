"""`user`, `group`, `initgroups` and `umask`: who binds and who serves, what a reload does, and what can't be had."""

import grp
import os
import pwd
import random
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from harness import APPS, TAPSTER, Server, run_tapster, wait_until
from harness.ports import free_port
from harness.processes import alive, children, open_files
from harness.server import clean_environment
from harness.strangers import PYTHON, needs_strangers, open_folder

APP = "identity:application"
USER = "nobody"


pytestmark = [pytest.mark.tapster, needs_strangers]


@pytest.fixture
def place():
    """A folder that every user may enter."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def serve_as(place, serve):
    """Starts a server in that folder."""

    def start(*options, **settings):
        return serve(APP, *options, cwd=place, interpreter=PYTHON, **settings)

    return start


@pytest.fixture
def own_folder(place):
    """A folder of the other user's."""
    folder = place / "own"
    folder.mkdir()
    os.chown(folder, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
    return folder


def _user(pid):
    return Path(f"/proc/{pid}").stat().st_uid


def test_the_application_is_that_user_for_good_and_the_arbiter_stays_root(serve_as, own_folder):
    server = serve_as("--user", USER, "--umask", "0027", bind=f"127.0.0.1:{_low_port()}")
    account = pwd.getpwnam(USER)
    about = server.get(f"/?{own_folder}").json
    assert about["users"] == about["imported_as"] == [account.pw_uid] * 3
    assert about["groups"] == [account.pw_gid] * 3
    assert about["others"] == [account.pw_gid]
    assert set(about["capabilities"]) == {"0" * 16}
    assert about["ways_back"] == ["refused"] * 4
    assert about["own_files"] > 0 and about["own_environment"] > 0, "/proc/self is open to it"
    assert about["death_signal"] != 0
    assert about["parent"] == server.pid
    assert about["file"] == [0o640, account.pw_uid, account.pw_gid]
    assert {about["environment"][name] for name in ("USER", "LOGNAME")} == {USER}
    assert about["environment"]["HOME"] == account.pw_dir
    assert os.stat(f"/proc/{server.pid}").st_uid == 0
    assert _user(server.template_pid()) == account.pw_uid


def _low_port():
    """A port that only root may bind."""
    for _ in range(100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.randrange(600, 1024)))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise AssertionError("no free port below 1024")


def test_numbers_do_and_the_environment_of_the_settings_comes_last(serve_as):
    server = serve_as("--user", "54321", "--group", "54322", "--env", "HOME=/elsewhere")
    about = server.get("/").json
    assert (about["users"], about["groups"], about["others"]) == ([54321] * 3, [54322] * 3, [54322])
    assert about["environment"]["HOME"] == "/elsewhere"
    assert about["environment"]["USER"] == ""


def test_initgroups_gives_all_groups_of_the_user(serve_as):
    member = next((name for group in grp.getgrall() for name in group.gr_mem if name != "root"), None)
    if member is None:
        pytest.skip("no user of this system is in a second group")
    account = pwd.getpwnam(member)
    server = serve_as("--user", member, "--initgroups")
    assert sorted(server.get("/").json["others"]) == sorted(os.getgrouplist(member, account.pw_gid))


def test_a_user_without_umask_keeps_the_one_that_the_server_was_started_with(serve_as, own_folder):
    server = serve_as("--user", USER, wait=False)
    server.wait_ready()
    before = os.umask(0)
    os.umask(before)
    assert server.get(f"/?{own_folder}").json["file"][0] == 0o666 & ~before


def test_the_log_file_is_made_that_users_and_all_processes_write_to_it(serve_as, place):
    server = serve_as("--user", USER, "--error-logfile", "log", wait=False)
    log = place / "log"
    wait_until(lambda: log.exists() and "Worker ready" in log.read_text(), 20, "a worker is ready")
    server.get("/")
    assert log.stat().st_uid == pwd.getpwnam(USER).pw_uid
    assert "complaint" in log.read_text()


def test_a_log_that_is_rotated_is_made_that_users_anew(serve_as, place):
    server = serve_as("--user", USER, "--error-logfile", "log", wait=False)
    log = place / "log"
    wait_until(lambda: log.exists() and "Worker ready" in log.read_text(), 20, "the worker is ready")
    log.rename(place / "log.1")
    server.send(signal.SIGUSR1)
    wait_until(lambda: log.exists() and log.stat().st_uid == pwd.getpwnam(USER).pw_uid, 20, "the new file is that user's")
    wait_until(
        lambda: all(str(log) in open_files(pid).values() for pid in children(server.pid)),
        20,
        "the template and the worker have it open",
    )
    assert "can't" not in (place / "log.1").read_text() + log.read_text()


def test_a_log_file_that_is_a_link_is_given_to_nobody(serve_as, place):
    (place / "precious").write_text("")
    (place / "log").symlink_to("precious")
    server = serve_as("--user", USER, "--error-logfile", "log", wait=False)
    server.expected_exit = None
    server.wait_exit()
    assert (place / "precious").stat().st_uid == 0
    assert "error_logfile" in (place / "log").read_text(), "the log says that the application may not open it"


def test_reload_takes_another_user_and_an_unknown_one_changes_nothing(serve_as):
    server = serve_as(settings=f'user = "{USER}"\n')
    server.write_settings('user = "no-such-user"\n')
    server.send(signal.SIGHUP)
    server.wait_log("no such user")
    assert server.get("/").json["users"][0] == pwd.getpwnam(USER).pw_uid
    server.write_settings("user = 54321\ngroup = 54321\n")
    server.reload()
    assert server.get("/").json["users"][0] == 54321


def test_workers_of_another_user_are_stopped_replaced_and_outlive_no_arbiter(serve_as):
    server = serve_as("--user", USER, workers=2)
    victim = server.live()[0].pid
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(server.live()) == 2, 20, "another worker")
    server.expected_exit = None
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(10)
    wait_until(lambda: not any(alive(pid) for pid in server.tree()), 20, "all have ended with the arbiter")


def test_who_is_unknown_is_an_error_before_anything_is_bound(place):
    for flag, name in (("--user", "no-such-user"), ("--group", "no-such-group")):
        for command in ([], ["--check-config"]):
            done = run_tapster(*command, flag, name, "--bind", "127.0.0.1:1", APP, cwd=place)
            assert done.returncode == 2, "the command line is wrong"
            assert name in done.stderr and "on this system" in done.stderr
            assert "isten" not in done.stderr


def test_a_user_who_is_not_root_is_told_that_only_root_can_choose(place):
    nobody = pwd.getpwnam(USER).pw_uid
    command = ["setpriv", f"--reuid={nobody}", "--clear-groups", f"--regid={nobody}", "--"]
    done = _run_as(command, place, "--user", "www-data")
    assert done.returncode == 1
    assert "only root can" in done.stderr and "User=" in done.stderr
    done = _run_as(command, place, "--user", USER, "--check-config")
    assert done.returncode == 0, done.stderr


def _run_as(command, place, *options):
    server = [str(TAPSTER), "--python", str(PYTHON.python), "--pythonpath", str(APPS), *options, APP]
    environment = clean_environment("none")
    return subprocess.run(
        [*command, *server], cwd=place, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_check_config_imports_the_application_as_that_user(place):
    done = run_tapster(
        "--check-config", "--user", USER, "--python", PYTHON.python, "--pythonpath", APPS, APP, cwd=place
    )
    assert done.returncode == 0, done.stderr
    assert f"imported as {pwd.getpwnam(USER).pw_uid}" in done.stdout


def test_root_without_the_capabilities_is_told_which_it_lacks(place):
    bounded = ["setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid", "--"]
    done = _run_as(bounded, place, "--user", USER, "--bind", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "without CAP_SETUID" in done.stderr


def test_an_arbiter_that_has_only_capabilities_hands_none_down(serve_as, place):
    some = "+kill,+setuid,+setgid"
    command = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
    command += [f"--inh-caps={some}", f"--ambient-caps={some}", "--"]
    server = Server(APP, "--user", USER, cwd=place, interpreter=PYTHON)
    plain = server.command
    server.command = lambda: [*command, *plain()]
    with server:
        about = server.get("/").json
        assert about["users"] == [pwd.getpwnam(USER).pw_uid] * 3
        assert set(about["capabilities"]) == {"0" * 16}
        assert about["ways_back"] == ["refused"] * 4
