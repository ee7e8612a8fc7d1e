"""A mail relay: aiosmtpd with AUTH and, given a certificate, STARTTLS. Ends when stdin does.

Each accepted mail is a line in the box before its sender hears 250.
"""

import base64
import json
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Box:
    def __init__(self, path):
        self.file = open(path, "ab", buffering=0)

    async def handle_DATA(self, server, session, envelope):
        row = {
            "to": envelope.rcpt_tos,
            "user": session.auth_data,
            "tls": session.ssl is not None,
            "raw": base64.b64encode(envelope.content).decode(),
        }
        self.file.write(json.dumps(row).encode() + b"\n")
        return "250 taken"


def main():
    given = json.loads(sys.stdin.readline())

    def authenticate(server, session, envelope, mechanism, data):
        right = (data.login.decode(), data.password.decode()) == (given["user"], given["password"])
        return AuthResult(success=right, auth_data=data.login.decode())

    tls = {}
    if given["certificate"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given["certificate"], given["key"])
        tls = {"tls_context": context, "require_starttls": True}
    relay = Controller(
        Box(given["box"]), hostname="127.0.0.1", port=given["port"], authenticator=authenticate,
        auth_required=True, auth_require_tls=bool(tls), decode_data=False, **tls,
    )
    relay.start()
    print("ready", flush=True)
    sys.stdin.read()
    relay.stop()


main()
