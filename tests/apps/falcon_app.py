"""A Falcon application: routes, media, an upload, a stream, an error."""

import falcon


class Hello:
    """Greets."""

    def on_get(self, request, response, name):
        """The greeting."""
        response.text = f"Hello, {name}!"


class Json:
    """Sends JSON back."""

    def on_post(self, request, response):
        """The echo."""
        response.media = {"got": request.media}


class Upload:
    """Sends the uploaded file back."""

    def on_post(self, request, response):
        """The first part that is a file."""
        for part in request.media:
            if part.filename:
                response.data = part.stream.read()
                response.content_type = "text/x-back"


class Stream:
    """A response without a length."""

    def on_get(self, request, response):
        """A thousand lines."""
        response.stream = (f"/stream {number}\n".encode() for number in range(1000))
        response.content_type = "text/plain"


class Fail:
    """Raises, as code does."""

    def on_get(self, request, response):
        """Always."""
        raise RuntimeError("this page always fails")


app = falcon.App()
app.add_route("/hello/{name}", Hello())
app.add_route("/json", Json())
app.add_route("/upload", Upload())
app.add_route("/stream", Stream())
app.add_route("/fail", Fail())
