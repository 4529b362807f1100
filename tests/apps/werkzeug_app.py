"""An application on Werkzeug alone: a URL map, JSON, an upload, a stream, an error."""

import json

from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

_urls = Map(
    [
        Rule("/hello/<name>", endpoint="hello", methods=["GET"]),
        Rule("/json", endpoint="json", methods=["POST"]),
        Rule("/upload", endpoint="upload", methods=["POST"]),
        Rule("/stream", endpoint="stream", methods=["GET"]),
        Rule("/fail", endpoint="fail", methods=["GET"]),
    ]
)


def _hello(request, name):
    return Response(f"Hello, {name}!")


def _json(request):
    return Response(json.dumps({"got": request.get_json()}), mimetype="application/json")


def _upload(request):
    return Response(request.files["file"].read(), mimetype="text/x-back")


def _stream(request):
    return Response((f"/stream {number}\n" for number in range(1000)), mimetype="text/plain")


def _fail(request):
    raise RuntimeError("this page always fails")


_views = {"hello": _hello, "json": _json, "upload": _upload, "stream": _stream, "fail": _fail}


@Request.application
def _site(request):
    try:
        endpoint, values = _urls.bind_to_environ(request.environ).match()
    except HTTPException as error:
        return error
    return _views[endpoint](request, **values)


application = ProxyFix(_site)
