"""The unit `tapster.service` inside a machine: installed as deploy/README.md says, and asked about its state."""

import shlex
from contextlib import contextmanager

from harness import ROOT, TAPSTER, request, wait_until

from .deployment import Deployment
from .machine import Machine

#: Where the machine sees this checkout's deploy folder and the build.
BUILD = "/mnt/build"
DEPLOY = "/mnt/deploy"
SHARED = {TAPSTER.parent: BUILD, ROOT / "deploy": DEPLOY}


class Unit:
    """The unit as its operator sees it."""

    def __init__(self, machine: Machine, deployment: Deployment, port: int):
        self.machine = machine
        self.deployment = deployment
        self.port = port
        self._address = ("127.0.0.1", port)

    def install(self):
        """The steps of deploy/README.md."""
        self.machine.shell(f"""
            install -D {BUILD}/tapster /usr/local/bin/tapster
            install -D {BUILD}/tapsterctl /usr/local/bin/tapsterctl
            install -D -m 644 {BUILD}/lib_tapster.so /usr/local/lib/tapster/lib_tapster.so
            install -D -m 644 {DEPLOY}/systemd/tapster.service /etc/systemd/system/tapster.service
            useradd --system --home-dir /srv/app --shell /usr/sbin/nologin tapster
            python3 -m venv --without-pip /srv/app/venv
            systemctl daemon-reload
            systemctl enable tapster
        """)

    def configure(self, environment):
        """Writes /etc/default/tapster."""
        lines = "\n".join(f"{name}={value}" for name, value in environment.items())
        self.machine.shell(f"printf '%s\\n' {shlex.quote(lines)} > /etc/default/tapster")

    @contextmanager
    def drop_in(self, text):
        """Changes the unit for the length of a `with` block, as `systemctl edit --runtime` does."""
        folder = "/run/systemd/system/tapster.service.d"
        self.machine.shell(f"""
            mkdir -p {folder}
            printf '%s' {shlex.quote(text)} > {folder}/test.conf
            systemctl daemon-reload
        """)
        try:
            yield
        finally:
            self.machine.shell(f"rm {folder}/test.conf; systemctl daemon-reload")

    def systemctl(self, *words, check=True):
        """`systemctl WORDS tapster`; a failure shows what became of the unit."""
        done = self.machine.run("systemctl", *words, "tapster", check=False, deadline=90)
        assert done.returncode == 0 or not check, f"systemctl {words}: {done.stdout}\n{self.story()}"
        return done

    def reset(self):
        """Stopped, and with no failure remembered."""
        self.systemctl("stop", check=False)
        self.systemctl("reset-failed", check=False)

    def property(self, name):
        """One property of the unit, as `systemctl show` gives it."""
        return self.systemctl("show", f"--property={name}", "--value").stdout.strip()

    def main_pid(self):
        """The arbiter's pid inside the machine; 0 while there is none."""
        return int(self.property("MainPID"))

    def journal(self):
        """What the unit's processes have written to the journal since it was last started or asked to."""
        self.machine.run("journalctl", "--sync")
        invocation = self.property("InvocationID")
        only = f"_SYSTEMD_INVOCATION_ID={invocation}"
        return self.machine.run("journalctl", "--no-pager", "--output=cat", only).stdout

    def story(self):
        """The unit's state with its processes, and what all its starts and systemd itself have written of late."""
        self.machine.run("journalctl", "--sync", check=False)
        status = self.systemctl("status", "--no-pager", "--full", "--lines=0", check=False).stdout
        newest = ("--no-pager", "--output=short-monotonic", "--lines=120")
        return status + self.machine.run("journalctl", *newest, check=False).stdout

    def wait_for_journal(self, text, deadline=20):
        """Waits until the journal has a text, and returns the journal."""
        wait_until(lambda: text in self.journal(), deadline, lambda: f"{text!r} in the journal:\n{self.journal()}", 0.1)
        return self.journal()

    def ask(self, path="/"):
        """The body of an answer."""
        reply = request(self._address, "GET", path)
        assert reply.status == 200, (reply.status, reply.body)
        return reply.text

    def answers(self):
        """Whether anything answers on the unit's port."""
        try:
            return bool(self.ask())
        except OSError:
            return False

    def processes(self):
        """The pids, inside the machine, of all processes of the unit that live."""
        group = self.property("ControlGroup")
        if not group:
            return set()
        # Where the host has control groups of version 1, systemd's own hierarchy is under a name.
        files = [f"{root}{group}/cgroup.procs" for root in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup")]
        return {int(pid) for pid in self.machine.run("cat", *files, check=False).stdout.split() if pid.isdigit()}
