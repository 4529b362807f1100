"""nginx: HTTP/1.1 and kept connections to the backend."""

from .front import ID_FIELD, Front, is_root


class Nginx(Front):
    """`buffering`: whether a request's body is read whole before the backend is asked. `lax` passes on what nginx drops
    by default (header names that it calls invalid), and Upgrade as for WebSocket. `version` is that of HTTP to the backend.
    `more` goes into the location."""

    PROGRAM = "nginx"

    def arguments(self, path):
        return ["-c", path, "-p", self.folder, "-e", self.folder / "error.log"]

    def configuration(self):
        return f"""
            daemon off;
            worker_processes 1;
            {"user root;" if is_root() else ""}
            pid {self.folder}/front.pid;
            events {{ worker_connections 256; }}
            http {{
                log_format requests '$front_id\t$status\t$request_method\t$request_uri';
                access_log {self.access_log} requests;
                {self._folders()}
                map $request_id $front_id {{ default "{self.secret}$request_id"; }}
                map $http_upgrade $kept_or_upgraded {{ default upgrade; "" ""; }}
                upstream backend {{
                    server {self._backend()};
                    keepalive 8;
                }}
                server {{
                    listen 127.0.0.1:{self.port};
                    client_max_body_size 0;
                    {"ignore_invalid_headers off; underscores_in_headers on;" if self.variant.get("lax") else ""}
                    location / {{
                        proxy_pass http://backend;
                        proxy_http_version {self.variant.get("version", "1.1")};
                        proxy_request_buffering {"on" if self.variant.get("buffering", True) else "off"};
                        proxy_next_upstream off;
                        proxy_set_header Host $http_host;
                        proxy_set_header {ID_FIELD} $front_id;
                        {self._upgrade()}
                        {self.variant.get("more", "")}
                    }}
                }}
            }}
        """

    def _backend(self):
        return f"unix:{self.backend}" if isinstance(self.backend, str) else "{}:{}".format(*self.backend)

    def _folders(self):
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        return " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)

    def _upgrade(self):
        if not self.variant.get("lax"):
            return 'proxy_set_header Connection "";'
        return "proxy_set_header Connection $kept_or_upgraded; proxy_set_header Upgrade $http_upgrade;"
