"""The application that the deployment tests roll out. `VERSION` and what happens at import are edited by the tests.

Served by the machine's or the image's own Python; nothing but the standard library.
"""

import os
import time

VERSION = "one"


def app(environ, start_response):
    body = VIEWS.get(environ["PATH_INFO"], _version)().encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def _version():
    return VERSION


def _parent():
    return str(os.getppid())


def _user():
    return f"{os.getuid()} {os.getgid()}"


def _slow(seconds=1):
    """Says on the log that it has begun, and takes a second."""
    print("slow request begun", flush=True)
    time.sleep(seconds)
    return "finished"


def _slower():
    """Takes longer than a service manager is made to wait."""
    return _slow(4)


def _orphan():
    """Leaves a grandchild behind, as a program that puts itself into the background does."""
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            time.sleep(0.2)
        os._exit(0)
    os.waitpid(child, 0)
    return "left behind"


def _writable():
    """Which of the folders that an application might try take a file."""
    folders = ["/etc", "/srv/app", "/usr/local", "/var/lib/tapster", "/var/cache/tapster", "/run/tapster", "/tmp"]
    return " ".join(folder for folder in folders if _takes_a_file(folder))


def _takes_a_file(folder):
    path = os.path.join(folder, "written-by-the-app")
    try:
        open(path, "w").close()
        os.unlink(path)
    except OSError:
        return False
    return True


VIEWS = {"/parent": _parent, "/user": _user, "/slow": _slow, "/slower": _slower, "/orphan": _orphan, "/writable": _writable}
