"""USR2: a new server beside the old one with the same sockets, which takes its place, or ends and leaves everything as it was."""

import os
import signal
import socket
import time

import pytest

from harness import Load, Server, request, wait_until
from harness.ports import free_port
from harness.processes import alive, children, open_files
from harness.upgrades import Upgrades, arbiters_state, deploy

pytestmark = pytest.mark.tapster

STOPS = pytest.mark.parametrize(
    "number", [signal.SIGQUIT, signal.SIGTERM, signal.SIGINT], ids=["QUIT", "TERM", "INT"]
)
by_socket = pytest.mark.parametrize("kind", ["tcp", "unix"])


def bind_to(kind, tmp_path):
    """What such a server is bound to."""
    return f"unix:{tmp_path / 'server.sock'}" if kind == "unix" else None


@by_socket
def test_three_upgrades_in_a_row_under_load_lose_no_request(upgrades, tmp_path, kind):
    up = upgrades(bind=bind_to(kind, tmp_path), workers=2)
    server = up.server
    with Load(server.address, connections=8) as load:
        for version in range(2, 5):
            deploy(tmp_path, version)
            load.wait_answered(50)
            up.up()
            load.wait_answered(50)
            up.hand_over()
            assert server.get().text == str(version)
        load.wait_answered(50)
    assert load.lost == [], server.tail()
    assert set(load.statuses) == {200}
    assert server.wait_exit() == 0


@by_socket
@STOPS
def test_going_back_under_load_loses_no_request(upgrades, tmp_path, kind, number):
    up = upgrades(bind=bind_to(kind, tmp_path), workers=2)
    server = up.server
    with Load(server.address, connections=8) as load:
        deploy(tmp_path, 2)
        up.up()
        wait_until(lambda: server.get().text == "2", what="the new server answers too")
        os.kill(up.new, number)
        server.wait_log(rf"The new server has ended \(pid: {up.new}\): exited with status 0; this one goes on")
        load.wait_answered(100)
    assert load.lost == [], server.tail()
    up.forget()
    assert server.get().text == "1"


@STOPS
def test_the_old_server_finishes_its_requests_at_whichever_signal(upgrades, tmp_path, number):
    up = upgrades()
    started = tmp_path / "started"
    with up.server.wire(timeout=20).get(f"/?{started}") as wire:
        wait_until(started.exists, what="the request runs")
        deploy(tmp_path, 2)
        up.up()
        os.kill(up.old, number)
        up.server.wait_log(rf"this server hands over to pid {up.new}")
        assert request(up.server.address, "GET", "/").text == "2"
        assert wire.reply().text == "1"
    up.wait_alone()
    assert up.server.wait_exit() == 0


def test_a_second_quit_hastens_the_old_servers_end(upgrades, tmp_path):
    deploy(tmp_path, 1)
    (tmp_path / "deployed.py").write_text((tmp_path / "deployed.py").read_text().replace("sleep(1)", "sleep(60)"))
    up = upgrades("--graceful-timeout", "60")
    started = tmp_path / "started"
    with up.server.wire(timeout=20).get(f"/?{started}"):
        wait_until(started.exists, what="the request runs")
        up.up()
        os.kill(up.old, signal.SIGQUIT)
        up.server.wait_log("hands over")
        # Two signals within a quarter of a second are taken for one that was delivered twice.
        time.sleep(0.3)
        os.kill(up.old, signal.SIGQUIT)
        assert up.server.wait_exit(15) == 0
    up.wait_alone()
    assert up.server.get().text == "1"


def test_the_sockets_path_is_there_from_the_first_server_to_the_last(upgrades, tmp_path):
    up = upgrades(bind=bind_to("unix", tmp_path))
    path = tmp_path / "server.sock"
    first = path.stat().st_ino
    up.up()
    os.kill(up.new, signal.SIGTERM)
    up.forget()
    assert path.stat().st_ino == first, "the new one has gone, and left it"
    up.up()
    up.hand_over()
    assert path.stat().st_ino == first, "the old one has gone, and left it"
    os.kill(up.new, signal.SIGTERM)
    wait_until(lambda: not path.exists(), what="the last one has removed it")


def test_an_application_that_fails_in_the_new_server_changes_nothing(upgrades, tmp_path):
    up = upgrades(workers=2)
    server, before = up.server, up.server.tree()
    deploy(tmp_path, 2, "raise ImportError('told to fail')\n")
    up.begin()
    server.wait_log("ImportError: told to fail")
    server.wait_log(rf"The new server died before it was ready \(pid: {up.new}\): exited with status 3; this one goes on")
    up.forget()
    wait_until(lambda: server.tree() == before, what="the same processes as before")
    assert server.get().text == "1"
    deploy(tmp_path, 3)
    up.up()
    up.hand_over()
    assert server.get().text == "3"


def test_a_new_server_that_is_killed_once_it_serves_is_said_and_the_old_one_goes_on(upgrades, tmp_path):
    up = upgrades(bind=bind_to("unix", tmp_path))
    server = up.server
    up.up()
    os.kill(up.new, signal.SIGKILL)
    server.wait_log(rf"The new server died \(pid: {up.new}\): killed by SIGKILL.*; this one goes on")
    up.forget()
    wait_until(lambda: len(server.tree()) == 3, what="its processes are gone and reaped")
    assert server.get().text == "1"
    assert server.stop() == 0
    assert not (tmp_path / "server.sock").exists(), "it is the old one's own again"


def test_an_old_server_that_is_killed_leaves_everything_to_the_new_one(upgrades, tmp_path):
    pid_file = tmp_path / "server.pid"
    up = upgrades("--pid", str(pid_file), bind=bind_to("unix", tmp_path))
    up.server.expected_exit = None
    up.up()
    os.kill(up.old, signal.SIGKILL)
    up.server.wait_exit()
    up.wait_alone()
    wait_until(lambda: pid_file.read_text() == f"{up.new}\n", what="the pid file is the new one's")
    assert up.server.get().text == "1"
    os.kill(up.new, signal.SIGTERM)
    wait_until(lambda: not (tmp_path / "server.sock").exists() and not pid_file.exists(), what="nothing is left")


def test_a_stop_before_the_new_server_is_ready_ends_both(upgrades, tmp_path):
    up = upgrades(bind=bind_to("unix", tmp_path))
    deploy(tmp_path, 2, "import time\ntime.sleep(60)\n")
    new = up.begin()
    wait_until(lambda: len(children(new)) >= 1, what="it boots")
    assert up.server.stop() == 0
    assert not alive(new)
    up.pids.pop()
    up.server.wait_log(rf"The new server \(pid: {new}\) is not ready, and ends with this one")
    assert not (tmp_path / "server.sock").exists()


def once_open(folder):
    """Code that takes as long as there is no file `open`."""
    return f"import pathlib, time\nwhile not pathlib.Path({str(folder / 'open')!r}).exists():\n    time.sleep(0.02)\n"


def test_quit_while_the_new_server_boots_hands_over_once_it_serves_and_loses_no_request(upgrades, tmp_path):
    up = upgrades(workers=2)
    server = up.server
    with Load(server.address, connections=4) as load:
        deploy(tmp_path, 2, once_open(tmp_path))
        up.begin()
        os.kill(up.old, signal.SIGQUIT)
        server.wait_log(rf"the new server \(pid: {up.new}\) is not ready yet, and this server hands over to it as soon as it is")
        load.wait_answered(50)
        assert server.get().text == "1"
        (tmp_path / "open").touch()
        server.wait_log(rf"this server hands over to pid {up.new}")
        up.wait_alone()
        load.wait_answered(50)
    assert load.lost == [], server.tail()
    assert server.get().text == "2"
    assert server.wait_exit() == 0


def test_a_quit_whose_new_server_fails_is_void(upgrades, tmp_path):
    up = upgrades()
    server = up.server
    deploy(tmp_path, 2, once_open(tmp_path) + "raise ImportError('told to fail')\n")
    up.begin()
    os.kill(up.old, signal.SIGQUIT)
    server.wait_log("is not ready yet, and this server hands over")
    (tmp_path / "open").touch()
    server.wait_log(r"The new server died before it was ready .*; this one goes on, and the QUIT .* is void")
    up.forget()
    assert server.get().text == "1"
    deploy(tmp_path, 3)
    up.up()
    up.hand_over()
    assert server.get().text == "3"


def test_pid_files_at_each_step(upgrades, tmp_path):
    path, second = tmp_path / "server.pid", tmp_path / "server.pid.2"
    up = upgrades("--pid", str(path))
    up.up()
    assert (path.read_text(), second.read_text()) == (f"{up.old}\n", f"{up.new}\n")
    os.kill(up.new, signal.SIGTERM)
    up.forget()
    assert path.read_text() == f"{up.server.pid}\n" and not second.exists()
    for _ in range(2):
        up.up()
        os.kill(up.old, signal.SIGQUIT)
        seen, end = set(), time.monotonic() + 15
        while second.exists():
            assert time.monotonic() < end, up.server.tail()
            # There is no moment without a file.
            seen.add(path.read_text())
        assert seen | {path.read_text()} <= {f"{up.old}\n", f"{up.new}\n"}
        assert path.read_text() == f"{up.new}\n"
        up.wait_alone()
    assert sorted(tmp_path.glob("server.pid*")) == [path]
    os.kill(up.new, signal.SIGTERM)
    wait_until(lambda: not path.exists(), what="the file goes with the last server")


def test_there_are_never_three_servers_and_the_refusal_names_the_other_pid(upgrades, tmp_path):
    up = upgrades()
    server = up.server
    deploy(tmp_path, 2, "import os, time\nwhile not os.path.exists('open'): time.sleep(0.01)\n")
    up.begin()
    server.send(signal.SIGUSR2)
    server.wait_log(rf"SIGUSR2 .*: refused, a new server \(pid: {up.new}\) is on its way")
    (tmp_path / "open").touch()
    up.wait_up()
    server.send(signal.SIGUSR2)
    server.wait_log(rf"SIGUSR2 .*: refused, the new server \(pid: {up.new}\) runs beside this one")
    os.kill(up.new, signal.SIGUSR2)
    server.wait_log(rf"\[{up.new}\].*SIGUSR2 .*: refused, .* the one before it \(pid: {up.old}\)")
    assert server.log().count("has been started (pid:") == 1


def test_five_upgrades_leave_no_descriptor_and_no_zombie(upgrades, tmp_path):
    up = upgrades("--pid", str(tmp_path / "server.pid"), bind=bind_to("unix", tmp_path))
    before = arbiters_state(up.new)
    for _ in range(5):
        up.up()
        os.kill(up.new, signal.SIGTERM)
        up.forget()
    wait_until(lambda: arbiters_state(up.new) == before, what=lambda: f"{arbiters_state(up.new)} to be {before}")
    for _ in range(5):
        up.up()
        up.hand_over()
        now = up.new
        wait_until(lambda now=now: arbiters_state(now) == before, what=lambda: f"{open_files(up.new)}; before {before}")


def test_children_of_the_new_server_do_not_see_how_it_was_started(upgrades, tmp_path):
    deploy(tmp_path, 1, "import os\nopen('environ', 'w').write(str(sorted(os.environ)))\n")
    up = upgrades()
    up.up()
    assert "PREDECESSOR" not in (tmp_path / "environ").read_text()


def test_an_address_that_only_one_of_the_two_has_is_opened_and_closed_with_it(upgrades, tmp_path):
    deploy(tmp_path, 1)
    both, old, new = (tmp_path / f"{name}.sock" for name in ("both", "old", "new"))
    settings = "bind = ['unix:{}', 'unix:{}']\n".format
    up = upgrades(bind="", workers=None, settings=settings(both, old))
    up.server.write_settings(settings(both, new))
    up.up()
    up.server.wait_log("The new server does not listen at unix:.*old.sock")
    assert all(request(str(path), "GET", "/").status == 200 for path in (both, old, new))
    os.kill(up.new, signal.SIGTERM)
    up.forget()
    assert (both.exists(), old.exists(), new.exists()) == (True, True, False)
    up.up()
    up.hand_over()
    assert (both.exists(), old.exists(), new.exists()) == (True, False, True)
    assert all(request(str(path), "GET", "/").status == 200 for path in (both, new))


def test_a_reload_of_the_old_server_meanwhile_takes_no_path_from_the_new_one(upgrades, tmp_path):
    deploy(tmp_path, 1)
    path, port = tmp_path / "both.sock", free_port()
    up = upgrades(bind="", workers=None, settings=f"bind = 'unix:{path}'\n")
    up.up()
    up.server.write_settings(f"bind = '127.0.0.1:{port}'\n")
    os.kill(up.old, signal.SIGHUP)
    up.server.wait_log("Template ended .*a newer generation serves|Template ended .*no longer needed")
    assert request(("127.0.0.1", port), "GET", "/").status == 200
    assert request(str(path), "GET", "/").status == 200


def test_a_socket_that_was_passed_to_the_first_server_is_passed_on(tmp_path):
    deploy(tmp_path, 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        passed = Server("deployed:application", "--pythonpath", str(tmp_path), bind=f"fd://{number}", cwd=tmp_path)
        passed.start(pass_fds=[number])
        address = listener.getsockname()
    try:
        with Upgrades(passed) as up:
            for version in (2, 3):
                deploy(tmp_path, version)
                up.up()
                up.hand_over()
                assert request(address, "GET", "/").text == str(version)
    finally:
        passed.close()


def test_settings_that_are_wrong_by_then_change_nothing(upgrades, tmp_path):
    up = upgrades(settings="threads = 1\n")
    up.server.write_settings("thread = 2\n")
    up.begin()
    up.server.wait_log("did you mean `threads`?")
    up.server.wait_log("The new server died before it was ready .*exited with status 1; this one goes on")
    up.forget()
    assert up.server.get().text == "1"


def test_what_signals_have_asked_for_is_kept_until_the_settings_have_another_number(upgrades):
    up = upgrades(workers=None, settings="workers = 1\n")
    server = up.server
    server.send(signal.SIGTTIN)
    wait_until(lambda: len(server.live()) == 2, what="two workers")
    up.up(workers=2)
    server.wait_log(rf"\[{up.new}\] .*2 workers remain wanted, as signals have asked; workers = 1")
    up.hand_over()
    server.write_settings("workers = 3\n")
    up.up(workers=3)
    server.wait_log(rf"\[{up.new}\] .*workers = 3, no longer 1: what signals have asked for .2 workers. is forgotten")
    up.hand_over()
    assert server.get().text == "1"
