"""nginx and Tapster, set up by the very lines of deploy/README.md."""

import http.client
import json
import re
import textwrap

import pytest
from fronts import Nginx, needs
from fronts.front import is_root

from harness import ROOT

CLIENT = "127.0.0.9"
LINES = re.compile(r"(?:^    .*\n|\n(?=    ))+", re.MULTILINE)


class Documented(Nginx):
    """nginx with the documented server, at a port and with folders of this test's own."""

    def configuration(self):
        server = self.variant["lines"]
        for documented, own in self.variant["places"].items():
            assert server.count(documented) == 1, documented
            server = server.replace(documented, own)
        return f"""
            daemon off;
            worker_processes 1;
            {"user root;" if self.variant["root"] else ""}
            pid {self.folder}/front.pid;
            events {{ worker_connections 256; }}
            http {{
                access_log off;
                {self._folders()}
                {server.replace("listen 80;", f"listen 127.0.0.1:{self.port};")}
            }}
        """


def documented():
    """The lines for nginx, and those for the settings file."""
    text = (ROOT / "deploy" / "README.md").read_text()
    section = text.split("\n## nginx in front\n")[1].split("\n## ")[0]
    nginx, settings = (textwrap.dedent(found) for found in LINES.findall(section))
    return nginx, settings


@needs("nginx")
@pytest.mark.tapster
def test_nginx_and_the_settings_as_documented(serve, tmp_path):
    nginx, settings = documented()
    socket = tmp_path / "app.sock"
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "style.css").write_text("body {}")
    (tmp_path / "tapster.toml").write_text(settings.replace("unix:/run/tapster/app.sock", f"unix:{socket}"))
    serve("conformance:application", bind=f"unix:{socket}", cwd=tmp_path)
    places = {"unix:/run/tapster/app.sock": f"unix:{socket}", "/srv/app/static/": f"{tmp_path}/static/"}
    with Documented(None, tmp_path / "front", lines=nginx, places=places, root=is_root()) as front:
        assert front.get("/static/style.css").body == b"body {}"
        client = http.client.HTTPConnection(*front.address, timeout=10, source_address=(CLIENT, 0))
        forged = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Host": "www.example.com"}
        client.request("GET", "/environ", headers=forged)
        environ = json.loads(client.getresponse().read())
        client.close()
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == (CLIENT, "http")
    assert (environ["HTTP_HOST"], environ["SERVER_PROTOCOL"]) == ("www.example.com", "HTTP/1.1")
    assert "wsgi.early_hints" not in environ
