"""Reads mails as another program would: DKIM by dkimpy, MIME by the standard library."""

import base64
import email
import email.policy
import json
import sys

import dkim


def main():
    given = json.load(sys.stdin)
    records = {name.encode(): text.encode() for name, text in given["dns"].items()}
    answer = [look_at(base64.b64decode(mail), records) for mail in given["mails"]]
    json.dump(answer, sys.stdout)


def look_at(raw, records):
    parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
    return {
        "dkim": [verify(raw, index, records) for index in range(len(parsed.get_all("DKIM-Signature", [])))],
        "names": [name for name in parsed.keys()],
        "headers": {name: str(value) for name, value in parsed.items()},
        "to": [[a.display_name, a.addr_spec] for a in parsed["To"].addresses],
        "text": parsed.get_body(("plain",)).get_content(),
        "html": parsed.get_body(("html",)).get_content(),
        "defects": [repr(defect) for part in parsed.walk() for defect in part.defects],
        "longest_line": max(len(line) for line in raw.split(b"\r\n")),
        "bare_breaks": len(raw.replace(b"\r\n", b"").translate(None, bytes(set(range(256)) - {10, 13}))),
    }


def verify(raw, index, records):
    try:
        return dkim.DKIM(raw).verify(idx=index, dnsfunc=lambda name, timeout=5: records.get(name))
    except dkim.DKIMException as error:
        return str(error)


main()
