"""The drip under WSGI: bare as `app`, and in Flask as `flask`."""

from flask import Flask, Response, request

from streamgap.doctor import DripWsgi

app = DripWsgi()
flask = Flask(__name__)


@flask.route("/drip", methods=["GET", "POST"])
def drip() -> Response:
    """Stream from a Flask view."""
    return Response.from_app(app, request.environ)  # type: ignore[return-value]  # its own class
