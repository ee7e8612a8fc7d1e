"""The post office: an SMTP server in a process of its own, the keys, and a reader of what came."""

import base64
import email
import email.policy
import functools
import json
import pathlib
import secrets
import subprocess
import sys
import time

from server import free_port

HERE = pathlib.Path(__file__).parent


class PostOffice:
    domain = "shop.example"
    selector = "journey"
    user = "tidings"

    def __init__(self, scratch):
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        self.box = scratch / "mailbox.jsonl"
        self.box.touch()
        self.log = scratch / "relay.log"
        self.certificate = scratch / "relay.pem"
        self.certificate_key = scratch / "relay.key"
        self.dkim_key = scratch / "dkim.pem"
        self.tls = True
        self.process = None
        self.read_up_to = 0
        self.seen = []
        self.make_keys()
        self.open()

    def make_keys(self):
        made = subprocess.run(["node", HERE / "make_key.mjs"], capture_output=True, check=True)
        pair = json.loads(made.stdout)
        self.dkim_key.write_text(pair["private"])
        self.dkim_record = f"v=DKIM1; k=rsa; p={pair['public']}".encode()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "30", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
             "-keyout", self.certificate_key, "-out", self.certificate],
            capture_output=True, check=True,
        )

    def use_plain(self):
        """Without STARTTLS, for a server whose settings cannot name our certificate."""
        self.close()
        self.tls = False
        self.open()

    def open(self):
        self.process = subprocess.Popen(
            [sys.executable, HERE / "smtp_server.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log.open("ab"),
        )
        self.process.stdin.write(json.dumps({
            "port": self.port, "user": self.user, "password": self.password, "box": str(self.box),
            "certificate": str(self.certificate) if self.tls else None,
            "key": str(self.certificate_key),
        }).encode() + b"\n")
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != b"ready":
            raise RuntimeError("the SMTP server does not start")

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait(timeout=10)
            self.process = None

    def all(self):
        """Every mail so far, in the order in which they came."""
        with self.box.open("rb") as box:
            box.seek(self.read_up_to)
            for line in box:
                if not line.endswith(b"\n"):
                    break
                self.read_up_to += len(line)
                self.seen.append(Mail(json.loads(line)))
        return self.seen

    def of(self, tag):
        """The mails whose subject begins so."""
        return [mail for mail in self.all() if mail.subject.startswith(tag)]

    def dns(self, name, timeout=5):
        wanted = f"{self.selector}._domainkey.{self.domain}.".encode()
        return self.dkim_record if name.rstrip(b".") == wanted.rstrip(b".") else None


class Mail:
    def __init__(self, row):
        self.raw = base64.b64decode(row["raw"])
        self.to = row["to"]
        self.user = row["user"]
        self.tls = row["tls"]

    @functools.cached_property
    def headers(self):
        head = self.raw.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
        return email.message_from_bytes(head, policy=email.policy.SMTP)

    @functools.cached_property
    def subject(self):
        return str(self.headers["Subject"])

    @functools.cached_property
    def message_id(self):
        return str(self.headers["Message-ID"]).strip("<> ")

    def parsed(self):
        return email.message_from_bytes(self.raw, policy=email.policy.SMTP)

    def signed_headers(self):
        signature = "".join(str(self.headers["DKIM-Signature"]).split())
        tags = dict(part.split("=", 1) for part in signature.split(";") if "=" in part)
        return [name.lower() for name in tags["h"].split(":")]


def settled(count, seconds=120, quiet=1.0):
    """Wait until `count()` stands still: nothing more comes."""
    deadline = time.monotonic() + seconds
    before, since = count(), time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < quiet:
        time.sleep(0.1)
        now = count()
        if now != before:
            before, since = now, time.monotonic()
    return before
