"""Apache: mod_proxy_http with kept connections to the backend."""

import re

from .front import ID_FIELD, Front, is_root

_MODULES = ("mpm_event", "authz_core", "proxy", "proxy_http", "headers", "unique_id", "env", "reqtimeout")
_FOLDER = "/usr/lib/apache2/modules"
_VERSION = re.compile(r" HTTP/[0-9.]+$", re.IGNORECASE)


class Apache(Front):
    """`add_headers`: ProxyAddHeaders. `lax` takes heads that it refuses by default. `more` goes to the end."""

    PROGRAM = "apache2"

    def arguments(self, path):
        return ["-d", self.folder, "-f", path, "-DFOREGROUND"]

    def configuration(self):
        modules = "\n".join(f"LoadModule {name}_module {_FOLDER}/mod_{name}.so" for name in _MODULES)
        add_headers = "On" if self.variant.get("add_headers", True) else "Off"
        return f"""
{modules}
{"User www-data" if is_root() else ""}
{"Group www-data" if is_root() else ""}
ServerName front.example
Listen 127.0.0.1:{self.port}
PidFile {self.folder}/front.pid
DefaultRuntimeDir {self.folder}
Mutex posixsem
ErrorLog {self.folder}/error.log
LogLevel warn
LogFormat "%{{{ID_FIELD}}}i\t%>s\t%r" requests
CustomLog {self.access_log} requests
StartServers 1
ServerLimit 1
ThreadsPerChild 24
MaxRequestWorkers 24
MinSpareThreads 1
MaxSpareThreads 24
KeepAlive On
Timeout 20
{"HttpProtocolOptions Unsafe" if self.variant.get("lax") else ""}
RequestHeader set {ID_FIELD} "{self.secret}%{{UNIQUE_ID}}e"
ProxyPreserveHost On
AllowEncodedSlashes NoDecode
ProxyAddHeaders {add_headers}
ProxyPass / http://{self.backend[0]}:{self.backend[1]}/ nocanon enablereuse=on
{self.variant.get("more", "")}
"""

    def parse(self, line):
        ident, status, first = line.split("\t")
        method, _, rest = first.partition(" ")
        # A first line without a version is HTTP/0.9, which Apache takes. Of slashes at the beginning it sends one.
        target = re.sub("^/+", "/", _VERSION.sub("", rest))
        return super().parse("\t".join([ident, status, method, target]))
