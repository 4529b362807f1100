"""A Pyramid application: routes, JSON, an upload, an app_iter stream, an error."""

from pyramid.config import Configurator
from pyramid.response import Response


def hello(request):
    """Greets."""
    return Response(f"Hello, {request.matchdict['name']}!")


def json(request):
    """Sends JSON back."""
    return {"got": request.json_body}


def upload(request):
    """Sends the uploaded file back."""
    return Response(body=request.POST["file"].file.read(), content_type="text/x-back")


def stream(request):
    """A response without a length."""
    return Response(app_iter=(f"/stream {number}\n".encode() for number in range(1000)), content_type="text/plain")


def fail(request):
    """Raises, as code does."""
    raise RuntimeError("this page always fails")


def make():
    """Makes the application."""
    with Configurator() as config:
        for view, path, method, renderer in (
            (hello, "/hello/{name}", "GET", None),
            (json, "/json", "POST", "json"),
            (upload, "/upload", "POST", None),
            (stream, "/stream", "GET", None),
            (fail, "/fail", "GET", None),
        ):
            config.add_route(view.__name__, path)
            config.add_view(view, route_name=view.__name__, request_method=method, renderer=renderer)
        return config.make_wsgi_app()
