"""`daemon`: the command returns when the server in the background is ready, and tells the truth where it does not get so far."""

import os
import signal
import subprocess
import uuid

import pytest

from harness import APPS, TAPSTER, request, wait_until
from harness.ports import free_port
from harness.processes import alive, children, kill, marked, open_files, stat
from harness.server import clean_environment

pytestmark = pytest.mark.tapster

APP = "ops:application"


class Command:
    """A command line that starts a server in the background, in a folder of its own, and what comes of it."""

    def __init__(self, folder, python):
        self.folder = folder
        self.port = free_port()
        self.test_id = uuid.uuid4().hex
        self.python = python
        self.process = None

    def words(self, *options, app=APP):
        common = ["--python", self.python, "--pythonpath", str(APPS), "--bind", f"127.0.0.1:{self.port}"]
        return [str(TAPSTER), *common, "--daemon", "--pid", "pid", "--error-logfile", "log", *options, app]

    def launch(self, *options, env=None, app=APP):
        """Starts it, with pipes for its streams that only end when nobody has them any more."""
        self.process = subprocess.Popen(
            self.words(*options, app=app),
            cwd=self.folder,
            env=clean_environment(self.test_id, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def run(self, *options, **settings):
        """Runs it to its end: exit status and what it printed."""
        output, errors = self.launch(*options, **settings).process.communicate(timeout=30)
        return self.process.returncode, output, errors

    @property
    def server(self):
        """The pid of the server, by its pid file."""
        return int((self.folder / "pid").read_text())

    def log(self):
        return (self.folder / "log").read_text()

    def get(self, path):
        return request(("127.0.0.1", self.port), "GET", path)

    def tree(self):
        return marked(self.test_id)

    def wait_gone(self):
        wait_until(lambda: not self.tree(), 20, lambda: f"{self.tree()} to be gone; log:\n{self.log()}")


@pytest.fixture
def command(tmp_path, python):
    made = Command(tmp_path, python)
    yield made
    left = made.tree()
    if left and (tmp_path / "pid").exists() and alive(made.server):
        os.kill(made.server, signal.SIGTERM)
        wait_until(lambda: not made.tree(), 20, "the server is gone")
    kill(made.tree())
    if made.process:
        made.process.kill()
        made.process.communicate(timeout=10)


def test_the_command_returns_when_the_server_answers_and_leaves_it_no_terminal(command):
    status, output, errors = command.run("--workers", "2")
    assert (status, output, errors) == (0, "", ""), "all that it prints is in the log"
    assert command.get("/hello").status == 200
    server = command.server
    assert server != command.process.pid and stat(server)["session"] == server
    assert {open_files(server)[number] for number in (0, 1, 2)} == {"/dev/null"}
    for child in children(server):
        found = open_files(child)
        assert found[0] == "/dev/null"
        assert {found[1], found[2]} == {str(command.folder / "log")}
    os.kill(server, signal.SIGTERM)
    command.wait_gone()
    assert not (command.folder / "pid").exists()


def test_what_the_application_prints_is_in_the_log(command):
    (command.folder / "prints.py").write_text(
        "print('printed', flush=True)\ndef app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n"
    )
    assert command.run(app="prints:app")[0] == 0
    assert "printed" in command.log()


def is_passed(gate):
    """Lets through who waits for a pipe to be opened; tells whether somebody did."""
    try:
        os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def test_the_command_waits_for_the_first_worker(command):
    gate = command.folder / "gate"
    os.mkfifo(gate)
    (command.folder / "gated.py").write_text(f"open({str(gate)!r}).close()\nfrom ops import application\n")
    command.launch(app="gated:application")
    log = command.folder / "log"
    wait_until(lambda: log.exists() and "Template ready" in log.read_text(), 20, "the template is ready")
    assert command.process.poll() is None
    wait_until(lambda: is_passed(gate), 20, "the application has come to the gate")
    assert command.process.wait(20) == 0
    assert command.get("/hello").status == 200


def test_why_an_upgrade_fails_is_in_the_log(command):
    assert command.run()[0] == 0
    server = command.server
    (command.folder / "tapster.toml").write_text("thread = 2\n")
    os.kill(server, signal.SIGUSR2)
    wait_until(lambda: "The new server died before it was ready" in command.log(), 20, command.log)
    assert "did you mean `threads`?" in command.log()
    (command.folder / "tapster.toml").unlink()
    os.kill(server, signal.SIGUSR2)
    wait_until(lambda: "The new server serves beside this one" in command.log(), 20, command.log)
    (new,) = (pid for pid in children(server) if open_files(pid).get(2) == "/dev/null")
    os.kill(server, signal.SIGQUIT)
    wait_until(lambda: command.server == new, 20, command.log)
    os.kill(new, signal.SIGTERM)
    command.wait_gone()


@pytest.mark.parametrize(
    ("app", "status", "told"),
    [
        ("no_such_module:app", 3, "no_such_module"),
        ("ops:missing", 4, "missing"),
    ],
)
def test_an_application_that_cant_start_is_the_commands_status_and_its_reason_is_told(command, app, status, told):
    (command.folder / "log").write_text("[ERROR] of another time\n")
    returned, _, errors = command.run(app=app)
    assert returned == status
    assert "has ended before it was ready" in errors and told in errors
    assert "another time" not in errors
    command.wait_gone()


def test_an_address_that_cant_be_had_is_told(command):
    returned, _, errors = command.run("--bind", "unix:/no/such/folder/socket")
    assert returned == 1
    assert "can't listen at unix:/no/such/folder/socket" in errors
    command.wait_gone()


def test_the_end_of_the_command_is_the_end_of_the_boot(command):
    gate = command.folder / "gate"
    os.mkfifo(gate)
    (command.folder / "gated.py").write_text(f"open({str(gate)!r}).close()\n")
    command.launch(app="gated:application")
    wait_until(lambda: (command.folder / "pid").exists(), 20, "the server has begun")
    wait_until(lambda: len(command.tree()) >= 4, 20, "a worker imports the application")
    command.process.send_signal(signal.SIGINT)
    command.process.wait(10)
    command.wait_gone()
    assert not (command.folder / "pid").exists()


def test_the_end_of_the_command_after_it_returned_is_no_end_of_the_server(command):
    assert command.run()[0] == 0
    os.kill(command.server, signal.SIGHUP)
    wait_until(lambda: "a newer generation serves" in command.log() or "generation 1 retires" in command.log(), 20)
    assert alive(command.server) and command.get("/hello").status == 200


def test_a_server_that_is_killed_while_it_boots_is_a_failure(command):
    gate = command.folder / "gate"
    os.mkfifo(gate)
    (command.folder / "gated.py").write_text(f"open({str(gate)!r}).close()\n")
    command.launch(app="gated:application")
    wait_until(lambda: (command.folder / "pid").exists() and (command.folder / "pid").read_text(), 20)
    os.kill(command.server, signal.SIGKILL)
    _, errors = command.process.communicate(timeout=20)
    assert command.process.returncode == 1
    assert "killed by SIGKILL" in errors
    # A worker that imports the application hears of the arbiter's end when it has done so.
    os.close(os.open(gate, os.O_RDWR))
    command.wait_gone()


def test_without_a_log_file_it_is_a_contradiction(command):
    words = [word for word in command.words() if word not in ("--error-logfile", "log")]
    done = subprocess.run(words, cwd=command.folder, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "--daemon needs a file in `error_logfile`" in done.stderr


def test_under_a_service_manager_that_waits_there_is_a_warning(command):
    status, _, errors = command.run(env={"NOTIFY_SOCKET": "@tapster-test-nobody"})
    assert status == 0
    assert "Type=notify" in errors
