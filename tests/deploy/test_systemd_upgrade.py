"""The upgrade of the program under a real systemd: the unit stays active, and its main process is another one."""

import shlex

import pytest
from harness import wait_until
from testbed.tools import needs
from testbed.unit import BUILD

pytestmark = [
    pytest.mark.tapster,
    pytest.mark.xdist_group("systemd"),
    needs("debootstrap", "systemd-nspawn", "systemd-analyze", "nsenter"),
]


@pytest.fixture
def unit(installed):
    """The unit, started, with an application that works."""
    installed.reset()
    installed.deployment.roll_out()
    installed.systemctl("start")
    return installed


def install_anew(unit):
    """Puts the program's file in place anew, as an update does."""
    program = shlex.quote(f"{BUILD}/tapster")
    unit.machine.shell(f"install {program} /usr/local/bin/tapster.new && mv /usr/local/bin/tapster.new /usr/local/bin/tapster")


def begin(unit):
    """Installs and starts the new server, and waits until it serves; returns its pid."""
    install_anew(unit)
    begun = unit.journal().count("The new server serves beside this one")
    unit.machine.run("kill", "-USR2", str(unit.main_pid()))
    says = "The new server serves beside this one"
    wait_until(lambda: unit.journal().count(says) > begun, 20, unit.journal, 0.1)
    return int(unit.journal().rpartition(says)[2].split("pid: ")[1].split(")")[0])


def gone(unit, pid):
    return not unit.machine.run("test", "-e", f"/proc/{pid}", check=False).returncode == 0


def expect_up(unit, main_pid):
    """The unit has not noticed more than that."""
    assert unit.property("ActiveState") == "active", unit.story()
    assert unit.property("NRestarts") == "0"
    assert unit.main_pid() == main_pid
    assert unit.ask()


def test_usr2_and_quit_keep_the_unit_active_with_the_new_main_pid_and_once_more(unit):
    for version in ("two", "three"):
        old = unit.main_pid()
        unit.deployment.roll_out(version)
        new = begin(unit)
        expect_up(unit, old)
        unit.machine.run("kill", "-QUIT", str(old))
        wait_until(lambda new=new: unit.main_pid() == new, 20, lambda: f"another MainPID: {unit.story()}", 0.1)
        wait_until(lambda old=old: gone(unit, old), 20, "the end of the old server", 0.1)
        wait_until(lambda: "this one has taken over" in unit.journal(), 20, unit.journal, 0.1)
        expect_up(unit, new)
        assert unit.ask() == version
        wait_until(lambda: "workers ready: 2" in unit.property("StatusText"), 20, "the new one's status", 0.1)
    # What the manager does with the unit reaches the new server.
    unit.deployment.roll_out("four")
    unit.systemctl("reload")
    wait_until(lambda: unit.ask() == "four", 20, "the new version", 0.1)
    unit.systemctl("stop")
    assert unit.property("Result") == "success"
    assert not unit.processes()


def test_term_to_the_new_server_leaves_the_unit_as_it_was(unit):
    old = unit.main_pid()
    family = unit.processes()
    new = begin(unit)
    unit.machine.run("kill", "-TERM", str(new))
    unit.wait_for_journal(f"The new server has ended (pid: {new})")
    wait_until(lambda: unit.processes() == family, 20, "the same processes as before", 0.1)
    expect_up(unit, old)


def test_the_new_server_has_the_privileges_of_the_unit_and_no_more(unit):
    old = unit.main_pid()

    def status(pid):
        wanted = ("Uid", "Gid", "NoNewPrivs", "CapBnd", "CapEff", "Seccomp:")
        lines = unit.machine.run("cat", f"/proc/{pid}/status").stdout.splitlines()
        return [line for line in lines if line.startswith(wanted)]

    assert status(begin(unit)) == status(old)


def test_a_stop_of_the_unit_with_both_servers_ends_all_of_it_in_time(unit):
    begin(unit)
    unit.systemctl("stop")
    assert unit.property("Result") == "success", unit.story()
    assert not unit.processes()
