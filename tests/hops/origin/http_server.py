"""The drip under the standard library's http.server with a buffered writer; argument `flush` flushes each event."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from streamgap.doctor import DripWsgi

FLUSH = "flush" in sys.argv
drip = DripWsgi()


class Handler(BaseHTTPRequestHandler):
    """Answers in chunks, through a writer of 8 KiB."""

    protocol_version = "HTTP/1.1"
    wbufsize = 8192
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "QUERY_STRING": self.path.partition("?")[2],
            "SERVER_PROTOCOL": self.request_version,
            "CONTENT_LENGTH": self.headers.get("content-length", ""),
            "wsgi.input": self.rfile,
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()},
        }
        body = drip(environ, self._start)
        for part in body:
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            if FLUSH:
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass

    def _start(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.send_response(int(status[:3]))
        for name, value in (*headers, ("Transfer-Encoding", "chunked")):
            if name != "Content-Length":
                self.send_header(name, value)
        self.end_headers()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
