"""A receiver of webhooks that writes down everything it is given."""

import http.server
import json
import pathlib
import socket
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).parent


class Receiver:
    def __init__(self):
        calls = self.calls = []
        arrived = self.arrived = threading.Condition()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                call = Call(time.monotonic_ns(), self.path, dict(self.headers.items()), body)
                self.send_response_only(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                with arrived:
                    calls.append(call)
                    arrived.notify_all()

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.listener.server_port}"
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def at(self, path):
        return [call for call in list(self.calls) if call.path == path]

    def wait_for(self, wanted, seconds=10):
        """The first call for which `wanted` is true."""
        deadline = time.monotonic() + seconds
        looked_at = 0
        with self.arrived:
            while True:
                while looked_at < len(self.calls):
                    call = self.calls[looked_at]
                    looked_at += 1
                    if wanted(call):
                        return call
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self.arrived.wait(left)

    def close(self):
        self.listener.shutdown()


class Call:
    def __init__(self, at, path, headers, body):
        self.at = at
        self.path = path
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    @property
    def id(self):
        return self.headers.get("webhook-id")

    def json(self):
        return json.loads(self.body)


def verify(calls, secret):
    """How many signatures the official package accepts, and how many once a byte is changed."""
    rows = [{"headers": call.headers, "body": call.body.decode()} for call in calls]
    given = json.dumps({"secret": secret, "calls": rows})
    ran = subprocess.run(
        ["node", HERE / "verify_webhooks.mjs"], input=given.encode(), capture_output=True, check=True,
    )
    answer = json.loads(ran.stdout)
    return answer["genuine"], answer["forged"]
