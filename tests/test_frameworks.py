"""Real frameworks, each on every CPython found, used as their users use them."""

import json
import os
import subprocess

import pytest

from harness import APPS, INTERPRETERS, UNDER_TEST, Browser
from harness.client import multipart
from harness.processes import MARKER

PROJECT = APPS / "django_project"
SMALL = {
    "flask": "flask_app:app",
    "pyramid": "pyramid_app:make()",
    "falcon": "falcon_app:app",
    "bottle": "bottle_app:application",
    "werkzeug": "werkzeug_app:application",
}
every_interpreter = pytest.mark.parametrize("interpreter", INTERPRETERS, ids=lambda each: each.name)


@every_interpreter
@pytest.mark.parametrize("framework", SMALL)
def test_a_small_application_greets_uploads_streams_and_fails_as_it_should(serve, framework, interpreter):
    interpreter.require()
    server = serve(SMALL[framework], interpreter=interpreter)
    assert server.get("/hello/world").body == b"Hello, world!"
    assert server.get("/hello/w%C3%B6rld").text == "Hello, w\xf6rld!"
    assert server.get("/nowhere").status == 404

    sent = {"list": [1, 2, 3], "text": "\u2713"}
    reply = server.request("POST", "/json", json.dumps(sent), {"Content-Type": "application/json"})
    assert reply.json == {"got": sent}

    data = os.urandom(300_000)
    body, kind = multipart({"note": "a note"}, {"file": ("data.bin", data)})
    ways = [(body, {}), (iter([body[:1000], body[1000:]]), {"Transfer-Encoding": "chunked"})]
    # Bottle and Falcon need the length, which of these servers only Tapster knows for a chunked body.
    for body_sent, extra in ways if UNDER_TEST == "tapster" else ways[:1]:
        reply = server.request("POST", "/upload", body_sent, {"Content-Type": kind, **extra})
        assert (reply.status, reply.header("content-type").split(";")[0]) == (200, "text/x-back")
        assert reply.body == data

    with server.wire() as wire:
        assert wire.exchange("/stream").text == "".join(f"/stream {number}\n" for number in range(1000))
        wire.expect_open("/hello/again")

    assert server.get("/fail").status == 500
    server.wait_log("this page always fails")
    assert server.get("/hello/still").body == b"Hello, still!"


@every_interpreter
def test_flask_keeps_a_session_and_reads_a_form(serve, interpreter):
    interpreter.require()
    server = serve(SMALL["flask"], interpreter=interpreter)
    browser = Browser(server.address)
    assert [browser.get("/counter").text for _ in range(3)] == ["1", "2", "3"]
    assert Browser(server.address).get("/counter").text == "1"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.request("POST", "/form", "a=1&b=%C3%B6", kind).json == {"a": "1", "b": "\xf6"}


@every_interpreter
def test_a_django_project_works_from_its_admin_to_its_uploads(serve, tmp_path, interpreter):
    interpreter.require()
    environment = {"DJANGO_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "project.settings"}
    prepare(interpreter, environment)
    options = ("--chdir", str(PROJECT), "--preload") if interpreter.static else ("--chdir", str(PROJECT))
    server = serve("project.wsgi:application", *options, workers=2, interpreter=interpreter, env=environment)
    browser = Browser(server.address)
    admin_adds_a_book(browser)
    assert browser.get("/").text == "A book added through the admin"
    uploads_and_downloads(browser)
    assert [browser.get("/counter/").text for _ in range(3)] == ["1", "2", "3"]
    with server.wire() as wire:
        wire.get("/stream/", "Host: 127.0.0.1")
        assert wire.reply().status == 400, "two Host headers are refused"
    assert server.get("/stream/").text == "".join(f"line {number}\n" for number in range(1000))
    assert server.get("/fail/").status == 500
    server.wait_log("this page always fails")


def prepare(interpreter, environment):
    """Migrates the database and creates a superuser, by Django's own command line."""
    environment = {**os.environ, **environment, "DJANGO_SUPERUSER_PASSWORD": "a password", MARKER: ""}
    user = ("createsuperuser", "--noinput", "--username", "root", "--email", "root@test.example")
    for command in (("migrate", "--verbosity", "0"), user):
        arguments = [str(interpreter.python), "manage.py", *command]
        done = subprocess.run(arguments, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


def admin_adds_a_book(browser):
    """Logs in through the form, fails without the CSRF token, and adds a book with it."""
    assert browser.get("/admin/").status == 302
    login = {"username": "root", "password": "a password", "next": "/admin/"}
    assert browser.request("POST", "/admin/login/", "username=root&password=x").status == 403
    reply = browser.submit("/admin/login/?next=/admin/", login)
    assert (reply.status, reply.header("location")) == (302, "/admin/")
    assert "Site administration" in browser.get("/admin/").text
    reply = browser.submit("/admin/library/book/add/", {"title": "A book added through the admin"})
    assert reply.status == 302, reply.text
    assert "was added successfully" in browser.get("/admin/library/book/").text


def uploads_and_downloads(browser):
    """Uploads a file big enough for Django to spool it to disk, and reads it back."""
    data = os.urandom(3_000_000)
    reply = browser.submit("/upload/", {"note": "some bytes"}, {"file": ("some.bin", data)})
    assert reply.status == 302, reply.text[:500]
    back = browser.get(reply.header("location"))
    assert back.body == data
    assert "some bytes" in back.header("content-disposition")
    assert back.header("content-length") == str(len(data))
