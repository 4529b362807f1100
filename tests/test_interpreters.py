"""One build serves every CPython found, and in each the application finds the interpreter it would find in its venv."""

import os
import re
from pathlib import Path

import pytest

from harness import INTERPRETERS, default_interpreter, run_tapster
from harness.interpreters import on_every_interpreter

pytestmark = pytest.mark.tapster


@pytest.fixture(scope="module", params=on_every_interpreter("interpreters"))
def server(request, serve_module):
    """The application that tells about its interpreter, on one CPython."""
    request.param.require()
    return serve_module("interpreter:application", interpreter=request.param)


def test_the_application_runs_in_the_venv_it_was_told_to(server):
    found, interpreter = server.get().json, server.interpreter
    assert found["version"] == interpreter.evaluate("sys.version.replace(chr(10), ' ')") or "\n" in found["version"]
    assert found["version"].startswith(interpreter.version + ".")
    assert found["prefix"] == found["exec_prefix"] == str(interpreter.venv)
    assert found["base_prefix"] == interpreter.evaluate("sys.base_prefix")
    assert found["executable"] == str(interpreter.python)
    assert found["main"] is True
    server.wait_log(rf"Template ready .*CPython {re.escape(interpreter.evaluate('sys.version.split()[0]'))}")


def test_encodings_are_utf_8_without_any_locale(server):
    found = server.get().json
    assert "LANG" not in server.environment
    assert found["filesystem_encoding"] == "utf-8"
    assert found["stdout_encoding"].lower() == "utf-8"
    assert found["preferred_encoding"].lower() == "utf-8"
    assert found["opened"] == "espresso"


def test_extension_modules_work(server):
    found, interpreter = server.get().json, server.interpreter
    assert found["sqlite"] == 42
    assert found["ctypes"] is True
    assert found["openssl"].startswith("OpenSSL")
    assert found["decimal"].startswith("0.333")
    for path in found["extensions"]:
        assert path.startswith(str(interpreter.venv)) and path.endswith(f"{found['soabi']}.so")


def test_sys_path_is_the_venvs_own_and_holds_no_working_directory_by_accident(server):
    found, interpreter = server.get().json, server.interpreter
    assert "" not in found["path"]
    plain = interpreter.evaluate("sys.path[1:]")
    for entry in re.findall(r"'([^']+)'", plain):
        assert entry in found["path"]


def test_each_hash_is_randomised(server):
    assert server.get().json["hash"] != int(server.interpreter.evaluate("hash('a')"))


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=lambda each: each.name)
def test_subprocesses_by_sys_executable_are_of_the_same_venv(serve, interpreter):
    interpreter.require()
    server = serve("ops:application", interpreter=interpreter)
    assert server.get("/python-child").json == str(interpreter.venv)


def test_a_cpython_without_a_shared_library_is_served_through_the_exec_door(serve):
    static = next(each for each in INTERPRETERS if each.static)
    static.require()
    server = serve("interpreter:application", interpreter=static, workers=2)
    found = server.get().json
    assert found["prefix"] == str(static.venv)
    assert found["process_executable"] == static.evaluate("__import__('os').path.realpath(sys.executable)")


@pytest.mark.parametrize("way", ["VIRTUAL_ENV", "PATH"])
def test_without_a_name_the_interpreter_is_found_in_the_environment(serve, way):
    venv = default_interpreter().venv
    environment = {"VIRTUAL_ENV": str(venv)} if way == "VIRTUAL_ENV" else {"PATH": f"{venv}/bin:/usr/bin:/bin"}
    server = serve("interpreter:application", name_python=False, env=environment)
    assert server.get().json["prefix"] == str(venv)


def test_virtual_env_comes_before_path(serve):
    others = [each for each in INTERPRETERS if each.python.exists() and each != default_interpreter()]
    if not others:
        pytest.skip("only one CPython found")
    environment = {"VIRTUAL_ENV": str(default_interpreter().venv), "PATH": f"{others[0].venv}/bin:/usr/bin:/bin"}
    server = serve("interpreter:application", name_python=False, env=environment)
    assert server.get().json["prefix"] == str(default_interpreter().venv)


@pytest.mark.parametrize("what", ["missing", "not_python", "not_executable"])
def test_an_interpreter_that_will_not_do_is_named(tmp_path, what):
    path = tmp_path / "python3"
    if what != "missing":
        path.write_text("#!/bin/sh\nexit 0\n")
        path.chmod(0o755 if what == "not_python" else 0o644)
    done = run_tapster("--python", path, "conformance:application", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert str(path) in done.stderr
    assert "panicked" not in done.stderr


def test_a_cpython_that_is_too_old_is_refused_with_its_version(tmp_path):
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    old = sorted(pyenv.glob("3.[6-9].*/bin/python"))
    if not old:
        pytest.skip("CPython older than 3.10 not found")
    done = run_tapster("--python", old[-1], "conformance:application", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "3.10" in done.stderr and old[-1].parts[-3] in done.stderr
