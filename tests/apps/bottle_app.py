"""A Bottle application: routes, JSON, a form with a file, a stream, an error."""

from bottle import Bottle, request, response

application = Bottle()


@application.get("/hello/<name>")
def hello(name):
    """Greets."""
    return f"Hello, {name}!"


@application.post("/json")
def json():
    """Sends JSON back."""
    return {"got": request.json}


@application.post("/upload")
def upload():
    """Sends the uploaded file back."""
    response.content_type = "text/x-back"
    return request.files.get("file").file.read()


@application.get("/stream")
def stream():
    """A response without a length."""
    response.content_type = "text/plain"
    for number in range(1000):
        yield f"/stream {number}\n"


@application.get("/fail")
def fail():
    """Raises, as code does."""
    raise RuntimeError("this page always fails")
