"""A real OTLP/HTTP receiver on loopback that keeps what it was sent, for tests."""

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_S = 30.0


class OtlpReceiver:
    """Answers 200 and queues each decoded request; give the queues' `get` a time-out of `PATIENCE_S`."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.traces: queue.Queue[ExportTraceServiceRequest] = queue.Queue()
        self.metrics: queue.Queue[ExportMetricsServiceRequest] = queue.Queue()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            self.traces.put(ExportTraceServiceRequest.FromString(body))
        elif path == "/v1/metrics":
            self.metrics.put(ExportMetricsServiceRequest.FromString(body))
        else:
            raise AssertionError(f"OTLP receiver: expected /v1/traces or /v1/metrics, got {path!r}")


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = OtlpReceiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def black_hole() -> Iterator[str]:
    """Yield an endpoint that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def refusing_endpoint() -> str:
    """Return an endpoint where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"
