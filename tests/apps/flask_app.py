"""A Flask application: a session, a form, a file, a stream, a template, an error."""

import io

from flask import Flask, Response, render_template_string, request, send_file, session, stream_with_context

app = Flask(__name__)
app.secret_key = "not a secret: this application is only ever served to its own tests"


@app.get("/hello/<name>")
def hello(name):
    """Greets through a template."""
    return render_template_string("Hello, {{ name }}!", name=name)


@app.get("/counter")
def counter():
    """Counts the visits of one session."""
    session["visits"] = session.get("visits", 0) + 1
    return str(session["visits"])


@app.post("/form")
def form():
    """Shows what a form sent."""
    return dict(request.form.items())


@app.post("/upload")
def upload():
    """Sends the uploaded file back."""
    return send_file(io.BytesIO(request.files["file"].read()), download_name="back.bin", mimetype="text/x-back")


@app.post("/json")
def json():
    """Sends JSON back."""
    return {"got": request.get_json()}


@app.get("/stream")
def stream():
    """A stream that needs its request to the end."""

    def lines():
        for number in range(1000):
            yield f"{request.path} {number}\n"

    return Response(stream_with_context(lines()), mimetype="text/plain")


@app.get("/fail")
def fail():
    """Raises, as code does."""
    raise RuntimeError("this page always fails")
