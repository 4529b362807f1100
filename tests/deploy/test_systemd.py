"""deploy/systemd/tapster.service under a real systemd, in a machine booted for it.

The program is this checkout's build, installed as deploy/README.md says; the Python is Debian's own.
"""

import pytest
from harness import ROOT, wait_until
from harness.waiting import always
from testbed.tools import needs, run
from testbed.unit import DEPLOY

pytestmark = [
    pytest.mark.tapster,
    pytest.mark.xdist_group("systemd"),
    needs("debootstrap", "systemd-nspawn", "systemd-analyze", "nsenter"),
]

WAITS_FOR_A_FILE = """
while not os.path.exists("/srv/app/open"):
    time.sleep(0.02)
"""


@pytest.fixture
def unit(installed):
    """The unit, installed and stopped, with an application that works."""
    installed.reset()
    installed.deployment.roll_out()
    return installed


def test_unit_file_passes_systemd_analyze_verify(unit):
    said = unit.machine.run("systemd-analyze", "verify", "--man=no", "/etc/systemd/system/tapster.service").stdout
    assert said == ""


def test_ready_is_reported_only_when_the_first_worker_is_ready(unit):
    gate = unit.deployment.folder / "open"
    unit.deployment.roll_out(at_import=WAITS_FOR_A_FILE)
    try:
        unit.systemctl("start", "--no-block")
        wait_until(unit.main_pid, 20, "an arbiter")
        wait_until(lambda: len(unit.processes()) >= 2, 20, "a child of the arbiter")
        assert unit.property("ActiveState") == "activating"
        gate.touch()
        wait_until(lambda: unit.property("ActiveState") != "activating", 20, "an end of the start", 0.1)
        assert unit.property("ActiveState") == "active", unit.journal()
        assert unit.ask() == "one"
    finally:
        gate.unlink(missing_ok=True)


def test_start_returns_when_the_site_answers(unit):
    unit.systemctl("start")
    assert unit.ask() == "one"


def test_start_of_a_broken_application_fails_with_its_traceback_in_the_journal_and_is_retried(unit):
    unit.deployment.roll_out_broken()
    assert unit.systemctl("start", check=False).returncode != 0
    unit.wait_for_journal("SyntaxError")
    wait_until(lambda: unit.property("ExecMainStatus") == "3", 20, "exit status 3", 0.1)
    unit.deployment.roll_out("repaired")
    wait_until(lambda: unit.property("ActiveState") == "active", 30, "the site to come up by itself", 0.1)
    assert unit.ask() == "repaired"


def test_start_with_a_wrong_setting_fails_and_the_repaired_file_brings_the_site_up(unit):
    settings = unit.deployment.folder / "tapster.toml"
    good = settings.read_text()
    try:
        unit.deployment.write("tapster.toml", good + "worker = 3\n")
        assert unit.systemctl("start", check=False).returncode != 0
        unit.wait_for_journal("did you mean `workers`?")
    finally:
        unit.deployment.write("tapster.toml", good)
    wait_until(lambda: unit.property("ActiveState") == "active", 30, "the site to come up by itself", 0.1)
    assert unit.ask() == "one"


def test_wrong_command_line_fails_the_unit_without_retries(unit):
    with unit.drop_in("[Service]\nExecStart=\nExecStart=/usr/local/bin/tapster --no-such-option\n"):
        assert unit.systemctl("start", check=False).returncode != 0
        assert unit.property("ActiveState") == "failed"
        assert unit.property("ExecMainStatus") == "2"
        assert unit.property("NRestarts") == "0"


def test_reload_with_a_wrong_setting_fails_keeps_serving_and_is_logged(unit):
    settings = unit.deployment.folder / "tapster.toml"
    good = settings.read_text()
    unit.systemctl("start")
    try:
        unit.deployment.write("tapster.toml", good + "worker = 3\n")
        unit.deployment.roll_out("not to be seen")
        assert unit.systemctl("reload", check=False).returncode != 0
        unit.wait_for_journal("did you mean `workers`?")
    finally:
        unit.deployment.write("tapster.toml", good)
    assert unit.ask() == "one"
    assert unit.property("ActiveState") == "active"


def test_reload_serves_new_code_under_the_same_arbiter(unit):
    unit.systemctl("start")
    arbiter = unit.main_pid()
    unit.deployment.roll_out("two")
    unit.systemctl("reload")
    wait_until(lambda: unit.ask() == "two", 20, "the new version")
    assert unit.main_pid() == arbiter
    # The first new worker answers already while it is on probation; the reload ends with that.
    wait_until(lambda: unit.property("ActiveState") == "active", 20, "the end of the reload")


def test_reload_with_broken_code_fails_keeps_serving_and_is_logged(unit):
    unit.systemctl("start")
    arbiter = unit.main_pid()
    unit.deployment.roll_out_broken()
    assert unit.systemctl("reload", check=False).returncode != 0
    unit.wait_for_journal("SyntaxError")
    assert unit.ask() == "one"
    assert unit.main_pid() == arbiter
    wait_until(lambda: unit.property("ActiveState") == "active", 20, "the end of the reload")
    unit.deployment.roll_out("three")
    unit.systemctl("reload")
    wait_until(lambda: unit.ask() == "three", 20, "the repaired version")


def test_boot_that_takes_longer_than_the_start_timeout_is_waited_for(unit):
    gate = unit.deployment.folder / "open"
    unit.deployment.roll_out(at_import=WAITS_FOR_A_FILE)
    try:
        with unit.drop_in("[Service]\nTimeoutStartSec=2\n"):
            unit.systemctl("start", "--no-block")
            wait_until(unit.main_pid, 20, "an arbiter")
            arbiter = unit.main_pid()
            always(lambda: unit.property("ActiveState") == "activating", 4, unit.journal, 0.2)
            gate.touch()
            wait_until(lambda: unit.property("ActiveState") == "active", 20, unit.journal, 0.1)
            assert unit.main_pid() == arbiter
            assert unit.property("NRestarts") == "0"
    finally:
        gate.unlink(missing_ok=True)


def test_boot_that_takes_longer_than_boot_timeout_is_given_up_by_tapster(unit):
    unit.deployment.roll_out(at_import=WAITS_FOR_A_FILE)
    environment = "Environment=TAPSTER_BOOT_TIMEOUT=1s"
    with unit.drop_in(f"[Service]\n{environment}\nTimeoutStartSec=60\nRestart=no\n"):
        assert unit.systemctl("start", check=False).returncode != 0
        assert unit.property("ExecMainStatus") == "3", unit.journal()
        assert unit.property("Result") == "exit-code"


def test_stop_waits_for_requests_that_take_longer_than_the_stop_timeout(unit, background):
    with unit.drop_in("[Service]\nTimeoutStopSec=1\n"):
        unit.systemctl("start")
        answer = background(lambda: unit.ask("/slower"))
        unit.wait_for_journal("slow request begun")
        unit.systemctl("stop")
        assert answer.result(20) == "finished"
        assert unit.property("Result") == "success"


def test_arbiter_that_hangs_is_started_again_and_one_that_idles_is_not(unit):
    with unit.drop_in("[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\n"):
        unit.systemctl("start")
        arbiter, family = unit.main_pid(), unit.processes()
        always(lambda: unit.main_pid() == arbiter and unit.property("NRestarts") == "0", 3, unit.journal, 0.2)
        unit.machine.run("kill", "-STOP", arbiter)
        wait_until(lambda: unit.property("NRestarts") == "1", 90, "a restart", 0.1)
        wait_until(lambda: unit.property("ActiveState") == "active", 30, "a restarted site", 0.1)
        assert unit.main_pid() != arbiter
        assert not family & unit.processes(), "processes of the killed arbiter's family live on"
        assert unit.ask() == "one"


def test_stop_ends_with_status_0_and_leaves_no_process(unit):
    unit.systemctl("start")
    before = unit.processes()
    assert len(before) >= 3
    unit.systemctl("stop")
    assert unit.property("Result") == "success"
    assert unit.property("ExecMainCode") == "1", "CLD_EXITED"
    assert unit.property("ExecMainStatus") == "0"
    assert not unit.processes()
    assert not unit.answers()


def test_stop_lets_a_running_request_finish(unit, background):
    unit.systemctl("start")
    answer = background(lambda: unit.ask("/slow"))
    unit.wait_for_journal("slow request begun")
    unit.systemctl("stop")
    assert answer.result(20) == "finished"
    assert unit.property("Result") == "success"


@pytest.fixture
def socket_unit(unit):
    """deploy/systemd/tapster.socket, on the unit's port, with settings that name no address."""
    port = unit.port
    unit.configure({"TAPSTER_WORKERS": 1})
    folder = "/run/systemd/system/tapster.socket.d"
    unit.machine.shell(f"""
        install -D -m 644 {DEPLOY}/systemd/tapster.socket /etc/systemd/system/tapster.socket
        mkdir -p {folder}
        printf '[Socket]\\nListenStream=\\nListenStream=127.0.0.1:{port}\\n' > {folder}/test.conf
        systemctl daemon-reload
        systemctl start tapster.socket
    """)
    yield unit
    unit.machine.shell(f"systemctl stop tapster.socket; rm -r {folder} /etc/systemd/system/tapster.socket")
    unit.reset()
    unit.configure({"TAPSTER_BIND": f"127.0.0.1:{port}", "TAPSTER_WORKERS": 2})


def test_socket_unit_starts_the_server_at_the_first_request_and_outlives_it(socket_unit):
    assert socket_unit.property("ActiveState") == "inactive"
    assert socket_unit.ask() == "one"
    assert "has passed fd://3 (tapster.socket)" in socket_unit.journal()
    socket_unit.deployment.roll_out("two")
    socket_unit.systemctl("reload")
    wait_until(lambda: socket_unit.ask() == "two", 20, "the new version")
    arbiter = socket_unit.main_pid()
    socket_unit.systemctl("restart", "--no-block")
    # Not one is refused, whenever it comes.
    wait_until(lambda: socket_unit.ask() == "two" and socket_unit.main_pid() not in (0, arbiter), 30, "a new arbiter")


def test_killed_arbiter_is_started_again(unit):
    unit.systemctl("start")
    arbiter, family = unit.main_pid(), unit.processes()
    unit.machine.run("kill", "-KILL", arbiter)
    # Where the host has control groups of version 1, systemd may not be told that the last process is gone, and then
    # waits for TimeoutStopSec.
    wait_until(lambda: unit.property("NRestarts") == "1", 90, "a restart", 0.1)
    wait_until(lambda: unit.property("ActiveState") == "active", 30, "a restarted site", 0.1)
    assert unit.main_pid() != arbiter
    assert not family & unit.processes(), "processes of the killed arbiter's family live on"
    assert unit.ask() == "one"


def test_killed_worker_is_replaced_and_the_unit_stays_up(unit):
    unit.systemctl("start")
    arbiter, family = unit.main_pid(), unit.processes()
    victims = family - {arbiter}
    unit.machine.run("kill", "-KILL", max(victims))
    wait_until(lambda: unit.processes() - family and len(unit.processes()) == len(family), 20, "a new worker", 0.1)
    assert unit.main_pid() == arbiter
    assert unit.property("NRestarts") == "0"
    assert unit.ask() == "one"


def test_application_runs_without_privileges(unit):
    unit.systemctl("start")
    ids = unit.machine.shell("echo $(id -u tapster) $(id -g tapster)").stdout.splitlines()[-1]
    assert unit.ask("/user") == ids
    status = unit.machine.run("cat", f"/proc/{unit.main_pid()}/status").stdout
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "Seccomp:\t2" in status


def test_application_writes_only_where_the_unit_allows(unit):
    unit.systemctl("start")
    assert unit.ask("/writable") == "/var/lib/tapster /var/cache/tapster /run/tapster /tmp"


def test_every_setting_in_the_unit_file_is_known_to_systemd():
    """Also on this system's own systemd, without the machine; the program itself is not there to be found."""
    path = ROOT / "deploy" / "systemd" / "tapster.service"
    said = run("systemd-analyze", "verify", "--man=no", path, check=False).stdout.splitlines()
    assert [line for line in said if "is not executable" not in line] == []
