"""A module with an `app` and no `application`."""


def app(environ, start_response):
    """Says its name."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"only app"]
