"""HUP: new code and settings are served once they have proven themselves, and until then, or if never, the old ones."""

import os
import re
import signal
import socket
from contextlib import ExitStack

import pytest

from harness import Load, request, wait_until
from harness.ports import free_port

pytestmark = pytest.mark.tapster
GOOD = '''
import os, time
if {hang}:
    time.sleep(3600)

def application(environ, start_response):
    if environ["QUERY_STRING"]:
        open(environ["QUERY_STRING"], "w").close()
        time.sleep(2)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{version}"]
'''
preload_or_not = pytest.mark.parametrize("preload", [False, True], ids=["no_preload", "preload"])


def deploy(directory, version, hang=False):
    """Writes the application, as a deploy does."""
    (directory / "deployed.py").write_text(GOOD.format(version=version, hang=hang))


def start(serve, directory, *options, preload=False, **settings):
    """A server of version 1."""
    deploy(directory, 1)
    options = (*options, "--preload") if preload else options
    return serve("deployed:application", *options, "--pythonpath", str(directory), **settings)


def expect_unchanged(server, before, text="1"):
    """The same processes as before, still serving the same."""
    wait_until(lambda: server.tree() == before, 10, lambda: f"{server.tree()} is {before}; log:\n{server.tail()}")
    assert server.get().text == text


@preload_or_not
def test_hup_serves_new_code_from_new_workers(serve, tmp_path, preload):
    server = start(serve, tmp_path, preload=preload, workers=2)
    old = server.worker_pids()
    for version in ("2", "3"):
        deploy(tmp_path, version)
        server.reload()
        assert {server.get().text for _ in range(10)} == {version}
    assert not old & server.worker_pids()
    wait_until(lambda: len(server.tree()) == 4, what="arbiter, template and two workers are all that is left")


@preload_or_not
@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import module_that_does_not_exist\n", "ModuleNotFoundError"),
        ("raise RuntimeError('not today')\n", "RuntimeError: not today"),
        ("import sys; sys.exit(0)\n", "SystemExit|exit"),
        ("applikation = None\n", "application"),
        ("application = 5\n", "callable"),
    ],
    ids=["syntax_error", "missing_module", "exception", "sys_exit", "missing_attribute", "not_callable"],
)
def test_hup_with_broken_app_keeps_old_workers_and_says_why(serve, tmp_path, source, error, preload):
    server = start(serve, tmp_path, preload=preload, workers=2)
    before, said = server.tree(), len(server.log())
    (tmp_path / "deployed.py").write_text(source)
    server.send(signal.SIGHUP)
    wait_until(lambda: server.tree() - before or len(server.tree()) > len(before), what="a new template")
    server.wait_log(error)
    expect_unchanged(server, before)
    if "Error" in error:
        assert 'deployed.py", line 1' in server.log()[said:], "the place in the code"
    deploy(tmp_path, 2)
    server.reload()
    assert server.get().text == "2"


def test_hup_with_an_app_that_dies_at_import_keeps_old_workers(serve, tmp_path):
    server = start(serve, tmp_path)
    before = server.tree()
    (tmp_path / "deployed.py").write_text("import os; os._exit(7)\n")
    server.send(signal.SIGHUP)
    wait_until(lambda: server.tree() - before, what="a new template")
    expect_unchanged(server, before)
    deploy(tmp_path, 2)
    server.reload()
    assert server.get().text == "2"


@preload_or_not
def test_hup_with_an_app_that_hangs_at_import_keeps_old_workers(serve, tmp_path, preload):
    server = start(serve, tmp_path, preload=preload, env={"TAPSTER_BOOT_TIMEOUT": "1"})
    before = server.tree()
    deploy(tmp_path, 2, hang=True)
    server.send(signal.SIGHUP)
    wait_until(lambda: server.tree() - before, what="a new template")
    assert server.get().text == "1"
    expect_unchanged(server, before)
    server.wait_log("boot_timeout|boot timeout|not ready within")
    deploy(tmp_path, 3)
    server.reload()
    assert server.get().text == "3"


@pytest.mark.parametrize("boot_timeout", ["0", "2"], ids=["boots_for_ever", "boots_in_time"])
def test_a_good_hup_during_one_that_hangs_is_taken_up_at_once_or_after_boot_timeout(serve, tmp_path, boot_timeout):
    server = start(serve, tmp_path, env={"TAPSTER_BOOT_TIMEOUT": boot_timeout})
    before = server.tree()
    deploy(tmp_path, 2, hang=True)
    server.send(signal.SIGHUP)
    wait_until(lambda: server.tree() - before, what="a new template")
    deploy(tmp_path, 3)
    server.reload()
    assert server.get().text == "3"
    wait_until(lambda: len(server.tree()) == 3, what="nothing is left of the generation that hung")


def test_hups_during_a_reload_are_taken_up_after_it_as_one(serve, tmp_path):
    server = start(serve, tmp_path)
    deploy(tmp_path, 2)
    server.send(signal.SIGHUP)
    server.wait_log("SIGHUP from .*loading the settings")
    for count in (1, 2):
        server.send(signal.SIGHUP)
        server.wait_log("a reload is under way, and another one follows it", count=count)
    deploy(tmp_path, 3)
    server.wait_log(r"during the last one \(2 times\): loading the settings")
    server.wait_log("The reload is complete: generation 3 serves alone")
    assert server.get().text == "3"
    assert {worker.generation for worker in server.ready()} == {1, 2, 3}, "the unfinished reload was finished"


def test_a_reload_starts_one_worker_at_a_time_and_retires_one_for_each(serve, tmp_path):
    server = start(serve, tmp_path, workers=4)
    server.reload()
    server.wait_log("The reload is complete: generation 2 serves alone")
    lines = re.findall(r"Worker (ready|retires) \(slot: \d+, pid: \d+, generation: (\d)", server.log())
    assert lines[4:] == [("ready", "2"), ("retires", "1")] * 4, server.tail()


@pytest.mark.parametrize(
    "settings",
    ["workers = = 2\n", "wrokers = 2\n", 'workers = "many"\n', "workers = -1\n", 'timeout = "soon"\n'],
    ids=["syntax", "unknown_key", "wrong_type", "impossible_value", "bad_duration"],
)
def test_hup_with_broken_settings_changes_nothing_and_says_where(serve, tmp_path, settings):
    server = start(serve, tmp_path, workers=None, settings="workers = 1\n")
    before = server.tree()
    deploy(tmp_path, 2)
    server.write_settings(settings)
    server.send(signal.SIGHUP)
    server.wait_log(r"tapster\.toml:1:\d+")
    expect_unchanged(server, before)
    server.write_settings("workers = 2\n")
    server.reload(workers=2)
    assert server.get().text == "2"


def test_hup_with_the_settings_file_gone_keeps_serving(serve, tmp_path):
    path = tmp_path / "named.toml"
    path.write_text("workers = 1\n")
    server = start(serve, tmp_path, "--config", str(path), workers=None)
    before = server.tree()
    path.unlink()
    server.send(signal.SIGHUP)
    server.wait_log(r"named\.toml")
    expect_unchanged(server, before)


def test_hup_changes_the_number_of_workers(serve, tmp_path):
    server = start(serve, tmp_path, workers=None, settings="workers = 1\n")
    for workers in (3, 1):
        server.write_settings(f"workers = {workers}\n")
        server.reload(workers=workers)
        wait_until(lambda: len(server.tree()) == workers + 2, what=f"{workers} workers and no more")


def test_hup_changes_the_address(serve, tmp_path):
    ports = free_port(), free_port()
    server = start(serve, tmp_path, workers=None, bind="", settings=f'bind = "127.0.0.1:{ports[0]}"\n')
    assert request(("127.0.0.1", ports[0]), "GET", "/").text == "1"
    server.write_settings(f'bind = "127.0.0.1:{ports[1]}"\n')
    server.reload()
    assert request(("127.0.0.1", ports[1]), "GET", "/").text == "1"

    def refused():
        try:
            request(("127.0.0.1", ports[0]), "GET", "/", timeout=1)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False  # taken in by the kernel just before the listener was closed
        return False

    wait_until(refused, what="the old address is closed")


def refuses(address):
    try:
        socket.create_connection(address, 5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # taken in by the kernel just before
    return False


@pytest.mark.parametrize("threads", [1, 2])
def test_who_waits_at_an_address_that_hup_removes_is_answered_and_nobody_else_is_taken_in(serve, gate, threads):
    ports = free_port(), free_port()
    settings = "bind = '127.0.0.1:{}'\nthreads = {}\n".format
    server = serve("crowd:application", workers=None, bind="", settings=settings(ports[0], threads))
    server.bind = f"127.0.0.1:{ports[0]}"
    with ExitStack() as stack:
        wires = [stack.enter_context(server.wire(30)).get(f"/stay?{gate.path},wait")]
        gate.wait_inside()
        wires.append(stack.enter_context(server.wire(30)).get("/note?before"))
        server.write_settings(settings(ports[1], threads))
        server.send(signal.SIGHUP)
        server.wait_log("The reload is complete")
        wait_until(lambda: refuses(server.address), what="it is closed while the old worker is at its requests")
        gate.open()
        assert [wire.reply().status for wire in wires] == [200] * len(wires)
    assert request(("127.0.0.1", ports[1]), "GET", "/note?after").status == 200
    # What was closed while its generation lived can be had again.
    server.write_settings(settings(ports[0], threads))
    server.reload(workers=1)
    assert server.get("/note?again").status == 200


def test_hup_to_an_address_in_use_keeps_the_old_one(serve, tmp_path):
    other = serve("conformance:application")
    port = free_port()
    server = start(serve, tmp_path, workers=None, bind="", settings=f'bind = "127.0.0.1:{port}"\n')
    before = server.tree()
    server.write_settings(f'bind = "{other.bind}"\n')
    server.send(signal.SIGHUP)
    server.wait_log("in use")
    server.bind = f"127.0.0.1:{port}"
    expect_unchanged(server, before)


def test_a_slow_request_of_an_old_worker_finishes_during_hup(serve, tmp_path):
    server = start(serve, tmp_path)
    started = tmp_path / "started"
    with server.wire() as wire:
        wire.get(f"/?{started}")
        wait_until(started.exists, what="the request runs")
        deploy(tmp_path, 2)
        server.send(signal.SIGHUP)
        wait_until(lambda: server.get().text == "2", what="new code is served while the old request runs")
        assert wire.reply().text == "1"
    wait_until(lambda: len(server.live()) == 1, what="the old worker is gone")


@preload_or_not
def test_ten_hups_under_load_lose_no_request(serve, tmp_path, preload):
    server = start(serve, tmp_path, preload=preload, workers=2)
    with Load(server.address, connections=8) as load:
        for version in range(2, 12):
            deploy(tmp_path, version)
            server.reload()
            load.wait_answered(20)
    assert load.lost == [], server.tail()
    assert set(load.statuses) == {200}
    assert {b"1", b"11"} <= set(load.bodies)


def test_a_failing_hup_under_load_loses_no_request(serve, tmp_path):
    server = start(serve, tmp_path, workers=2)
    with Load(server.address, connections=8) as load:
        before = server.tree()
        (tmp_path / "deployed.py").write_text("def broken(:\n")
        server.send(signal.SIGHUP)
        server.wait_log("SyntaxError")
        expect_unchanged(server, before)
        load.wait_answered(20)
    assert load.lost == [], server.tail()
    assert (set(load.statuses), set(load.bodies)) == ({200}, {b"1"})


def test_hups_in_quick_succession_end_with_the_newest_code(serve, tmp_path):
    server = start(serve, tmp_path, workers=2)
    for version in range(2, 6):
        deploy(tmp_path, version)
        server.send(signal.SIGHUP)
        wait_until(lambda: len(server.tree()) > 4, what="the signal is being acted upon")
    server.reload()
    assert {server.get().text for _ in range(10)} == {"5"}
    wait_until(lambda: len(server.tree()) == 4, what="arbiter, template and two workers are all that is left")


def test_hup_to_a_descriptor_that_was_not_passed_leaves_the_servers_own_alone(serve, tmp_path):
    own = f'bind = "127.0.0.1:{free_port()}"\n'
    server = start(serve, tmp_path, workers=None, bind="", settings=own)
    server.bind = own.split('"')[1]
    before = server.tree()
    for number in range(3, 9):
        server.write_settings(f'bind = "fd://{number}"\n')
        server.send(signal.SIGHUP)
        server.wait_log(rf"fd://{number}.*nothing was passed")
        expect_unchanged(server, before)
    server.write_settings(own)
    deploy(tmp_path, 2)
    server.reload()
    assert server.get().text == "2"


def test_hup_to_code_that_crashes_soon_after_it_is_ready_keeps_old_workers(serve, tmp_path):
    server = start(serve, tmp_path, workers=2)
    old, before = server.worker_pids(), server.tree()
    (tmp_path / "deployed.py").write_text(
        GOOD.format(version=2, hang=False)
        + "import threading\nthreading.Timer(0.2, os._exit, [5]).start()\n"
    )
    server.send(signal.SIGHUP)
    server.wait_log("Generation 2 failed to boot; generation 1 goes on", 20)
    expect_unchanged(server, before)
    assert server.worker_pids() == old
    deploy(tmp_path, 3)
    server.reload()
    assert server.get().text == "3"


def test_a_hup_that_hangs_lasts_no_longer_than_boot_timeout(serve, tmp_path):
    server = start(serve, tmp_path, env={"TAPSTER_BOOT_TIMEOUT": "3"})
    deploy(tmp_path, 2, hang=True)
    server.send(signal.SIGHUP)
    server.wait_log("Generation 2 failed to boot")
    assert len(re.findall("is killed .* not ready within boot_timeout", server.log())) == 1, server.tail()


def test_hup_from_every_address_to_one_of_them_says_that_it_needs_a_restart(serve, tmp_path):
    port = free_port()
    server = start(serve, tmp_path, workers=None, bind="", settings=f'bind = ":{port}"\n')
    server.bind = f"127.0.0.1:{port}"
    before = server.tree()
    server.write_settings(f'bind = "{server.bind}"\n')
    server.send(signal.SIGHUP)
    server.wait_log("this server itself.*restart")
    expect_unchanged(server, before)


def test_a_link_to_a_release_that_is_set_anew_is_followed_by_hup(serve, tmp_path):
    for version in (1, 2):
        (tmp_path / f"release-{version}").mkdir()
        deploy(tmp_path / f"release-{version}", version)
    current = tmp_path / "current"
    current.symlink_to("release-1")
    server = serve("deployed:application", cwd=current, env={"PWD": str(current)})
    assert server.get().text == "1"
    (tmp_path / "next").symlink_to("release-2")
    (tmp_path / "next").rename(current)
    server.log_path = tmp_path / "release-1" / server.log_path.name
    server.reload()
    assert server.get().text == "2"


def test_a_settings_file_that_is_a_pipe_is_refused_and_nobody_waits_for_it(serve):
    server = serve("ops:application")
    path = server.cwd / "tapster.toml"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    server.send(signal.SIGHUP)
    server.wait_log(r"tapster.toml cannot be read: it is not a plain file")
    assert server.get("/hello").status == 200
    path.unlink()


def test_a_reload_that_fails_without_a_word_tells_how_the_last_process_ended(serve, tmp_path):
    dies = tmp_path / "dies.py"
    dies.write_text("def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'1']\n")
    server = serve("dies:app", cwd=tmp_path)
    dies.write_text("import os\nos._exit(7)\n")
    server.send(signal.SIGHUP)
    server.wait_log(r"failed to boot.*after 3 trials; the last: exited with status 7", 20)
    assert server.get("/").body == b"1"
