"""Settings from outside: where they come from, which one wins, and what a wrong one says. Each kind of value is tested
beside its code; here is what only a whole program shows."""

import pytest

from harness import APPS, run_tapster
from harness.ports import free_port

try:
    import tomllib
except ModuleNotFoundError:  # CPython 3.10
    import tomli as tomllib

pytestmark = pytest.mark.tapster


@pytest.fixture
def settings(tmp_path, python):
    """What --print-config says, read as TOML, for a settings file, an environment and a command line."""

    def read(file=None, env=None, *arguments):
        if file is not None:
            (tmp_path / "tapster.toml").write_text(file)
        done = run_tapster("--python", python, "--print-config", *arguments, "shapes:function", cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        return tomllib.loads(done.stdout)

    return read


@pytest.fixture
def refused(tmp_path, python):
    """What is said about a settings file that is wrong."""

    def read(file, env=None):
        (tmp_path / "tapster.toml").write_text(file)
        done = run_tapster("--python", python, "shapes:function", cwd=tmp_path, env=env)
        assert done.returncode == 1, done.stderr
        return done.stderr

    return read


def test_without_any_the_defaults_count(settings):
    found = settings()
    assert found["workers"] == 1
    assert found["bind"] in ("127.0.0.1:8000", ["127.0.0.1:8000"])


def test_the_file_beats_the_defaults_the_environment_the_file_and_the_command_line_all(settings):
    file, env = "workers = 2\n", {"TAPSTER_WORKERS": "3"}
    assert settings(file)["workers"] == 2
    assert settings(file, env)["workers"] == 3
    assert settings(file, env, "--workers", "4")["workers"] == 4


def test_hosting_platforms_variables_count_and_the_programs_own_beat_them(settings):
    platform = {"PORT": "5001", "WEB_CONCURRENCY": "5"}
    found = settings(None, platform)
    assert found["workers"] == 5
    assert "0.0.0.0:5001" in str(found["bind"])
    found = settings(None, {**platform, "TAPSTER_WORKERS": "6", "TAPSTER_BIND": "127.0.0.1:5002"})
    assert found["workers"] == 6
    assert "127.0.0.1:5002" in str(found["bind"]) and "5001" not in str(found["bind"])


def test_what_print_config_prints_can_be_read_back(tmp_path, python):
    given = ("--workers", "3", "--timeout", "500ms", "-e", "A=${NOT_SET} $${B}")
    arguments = ("--python", python, "--print-config", *given, "shapes:function")
    first = run_tapster(*arguments, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (tmp_path / "again.toml").write_text(first.stdout)
    second = run_tapster("--print-config", "--config", "again.toml", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert tomllib.loads(second.stdout) == tomllib.loads(first.stdout)


def test_a_file_can_be_named_and_a_named_one_must_be_there(tmp_path, python):
    done = run_tapster("--python", python, "-c", "nowhere.toml", "shapes:function", cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere.toml" in done.stderr


def test_an_unknown_key_is_named_with_its_place_and_the_likely_meaning(refused):
    said = refused('bind = "127.0.0.1:0"\n\n  wrokers = 2\n')
    assert "tapster.toml:3:3" in said
    assert "wrokers" in said
    assert "did you mean" in said.lower() and "workers" in said.replace("wrokers", "")


def test_a_gunicorn_name_is_met_with_tapsters(refused):
    assert "preload" in refused("preload_app = true\n").replace("preload_app", "")


def test_all_errors_of_a_file_are_reported_at_once(refused):
    said = refused('workers = "many"\ntimeout = -1\nnonsense = true\n')
    for place in ("tapster.toml:1:", "tapster.toml:2:", "tapster.toml:3:"):
        assert place in said


def test_a_syntax_error_is_placed(refused):
    assert "tapster.toml:2:" in refused('workers = 1\nbind = "unclosed\n')


def test_a_wrong_variable_is_named(refused):
    assert "TAPSTER_WORKERS" in refused("", {"TAPSTER_WORKERS": "many"})


def test_variables_are_expanded_inside_strings(serve):
    port = free_port()
    settings = 'wsgi_app = "${MODULE}:function"\nbind = "127.0.0.1:${A_PORT}"\n'
    env = {"MODULE": "shapes", "A_PORT": str(port)}
    server = serve(None, workers=None, bind="", settings=settings, env=env)
    server.bind = f"127.0.0.1:{port}"
    assert server.get().text == "function"


def test_a_variable_that_is_not_set_is_named_with_its_place(refused):
    said = refused('bind = "${NOT_SET_ANYWHERE}"\n')
    assert "NOT_SET_ANYWHERE" in said and "tapster.toml:1:" in said


def test_settings_from_the_file_are_in_force(serve):
    settings = f'workers = 2\npythonpath = "{APPS}"\n\n[env]\nFROM_FILE = "yes"\n'
    server = serve("ops:application", workers=None, settings=settings)
    server.wait_log("Worker ready", count=2)
    assert server.get("/about").json["environment"]["FROM_FILE"] == "yes"


def test_the_port_variable_alone_makes_a_server_reachable(serve):
    port = free_port()
    server = serve("shapes:function", bind="", env={"PORT": str(port)})
    server.bind = f"127.0.0.1:{port}"
    assert server.get().text == "function"


def test_settings_too_long_for_a_template_are_refused_without_showing_them(tmp_path, python):
    secret = "not-to-be-shown" * 10_000
    (tmp_path / "tapster.toml").write_text(f'[env]\nSECRET = "{secret}"\n')
    bind = ("--bind", f"127.0.0.1:{free_port()}")
    done = run_tapster("--python", python, "--pythonpath", APPS, *bind, "shapes:function", cwd=tmp_path)
    assert done.returncode == 1, done.stderr[-2000:]
    assert "the settings take" in done.stderr
    assert "not-to-be-shown" not in done.stderr
