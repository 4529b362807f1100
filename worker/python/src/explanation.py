"""The application that stands in for one that can't be loaded: it tells everybody why. For development only."""


def explain(report):
    """The application. Plain text, since nothing in it can then be taken for markup."""
    text = f"The application can't be loaded. The next change of one of its files is the next trial.\n\n{report}\n"
    body = text.encode("utf-8", "backslashreplace")
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]

    def application(environ, start_response):
        start_response("500 Internal Server Error", headers)
        return [body]

    return application
