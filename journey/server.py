"""The server as a process, and its REST API."""

import base64
import ctypes
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"the journey's own secret").decode()


LIBC = ctypes.CDLL(None)
# Mail programs offer one click only for https, so the server believes that it is behind a proxy.
PUBLIC_URL = "https://messages.shop.example"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, binary, scratch, post, receiver):
        self.binary = binary
        self.scratch = scratch
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.receiver = receiver
        self.log = scratch / "server.log"
        self.config = scratch / "tidings.toml"
        self.process = None
        self.public = self.secret = None
        self.config.write_text(self.settings(post))

    def settings(self, post):
        security = 'security = "starttls"\n'
        security += f"ca_file = {json.dumps(str(post.certificate))}\n"
        if not self.knows_ca_file(post):
            post.use_plain()
            security = 'security = "plain"\n'
        return f"""
data = {json.dumps(str(self.scratch / "data"))}
listen = "127.0.0.1:{self.port}"
base_url = "{PUBLIC_URL}"

[log]
level = "info"

[email]
transport = "smtp"
host = "localhost"
port = {post.port}
user = {json.dumps(post.user)}
password = {json.dumps(post.password)}
{security}
[[email.dkim]]
domain = "{post.domain}"
selector = "{post.selector}"
key_file = {json.dumps(str(post.dkim_key))}

[webhook]
transport = "http"
secrets = ["{WEBHOOK_SECRET}"]
allow_private = true
allow_http = true
"""

    def knows_ca_file(self, post):
        """Whether a relay's own certificate authority can be named in the settings."""
        probe = self.scratch / "probe.toml"
        probe.write_text(f"[email]\nca_file = {json.dumps(str(post.certificate))}\n")
        asked = [self.binary, "serve", "--print-config", "--config", probe]
        return subprocess.run(asked, env=clean(), capture_output=True, check=False).returncode == 0

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--config", self.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean(), preexec_fn=end_with_us,
            )
        self.wait_until_it_listens()
        if self.secret is None:
            text = self.log.read_text()
            self.public = re.search(r"pk_\S+", text).group()
            self.secret = re.search(r"sk_\S+", text).group()

    def wait_until_it_listens(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.log.read_text()[-2000:]}")
            # The port is taken before the data folder is opened; only an answer says that it serves.
            try:
                link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                link.request("GET", "/readyz")
                if link.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        raise RuntimeError("the server does not listen")

    def kill(self):
        """As a power cut does it to a process: no warning."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def complaints(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if " ERROR " in line or "panicked" in line][:3]

    # The API.

    def ask(self, method, path, body=None, key=None, expect=(200, 201, 202)):
        status, answer = self.try_ask(method, path, body, key)
        if status not in expect:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def try_ask(self, method, path, body=None, key=None):
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {key or self.secret}"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            link.request(method, path, data, headers)
            response = link.getresponse()
            text = response.read()
        finally:
            link.close()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text.decode(errors="replace")

    def go_live(self, identifier, definition):
        self.ask("POST", "/api/v1/outreaches", {"id": identifier, "definition": definition})
        return self.ask("POST", f"/api/v1/outreaches/{identifier}/go-live")

    def pages(self, path, **query):
        """Every item of a list."""
        cursor = None
        while True:
            given = {key: value for key, value in query.items() if value is not None}
            given["limit"] = 200
            if cursor:
                given["cursor"] = cursor
            page = self.ask("GET", f"{path}?{urllib.parse.urlencode(given)}")
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return

    def deliveries(self, outreach, **query):
        return list(self.pages("/api/v1/deliveries", outreach=outreach, **query))

    def decisions(self, outreach, **query):
        return list(self.pages("/api/v1/decisions", outreach=outreach, **query))

    def counts(self, outreach):
        return self.ask("GET", f"/api/v1/outreaches/{outreach}")["counts"]

    def track(self, user, event, message=None, **properties):
        body = {"userId": user, "event": event, "properties": properties}
        if message:
            body["messageId"] = message
        return self.ask("POST", "/v1/track", body, key=self.public)

    def batch(self, items):
        return self.ask("POST", "/v1/batch", {"batch": items}, key=self.public)


def end_with_us():
    """Let the kernel end the server when the journey ends, however that ends."""
    set_parent_death_signal = 1
    LIBC.prctl(set_parent_death_signal, signal.SIGKILL)


def clean():
    """The environment without settings of somebody else's server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")}


def eventually(ready, seconds=60, pause=0.05):
    """What `ready` answers once it is true, or at the end of the patience."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ready()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(pause)
