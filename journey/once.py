"""Once is once, and every time is every time: concurrent triggers and repeated ids."""

import asyncio
import base64
import json

from mails import settled
from server import eventually

TRIGGERS = 1000


def walk(checks, server, post, receiver):
    server.go_live("first-visit", on("visited", f"{receiver.base}/first", "once"))
    statuses = asyncio.run(all_at_once(server, "the crowd's favourite", "visited"))
    checks.equal(f"{TRIGGERS:,} concurrent triggers were accepted", statuses.count(200), TRIGGERS)
    eventually(lambda: receiver.at("/first"))
    settled(lambda: len(receiver.calls))
    checks.equal("deliveries of a `once` outreach", len(server.deliveries("first-visit")), 1)
    checks.equal("webhooks of it", len(receiver.at("/first")), 1)
    skips = [line["reason"] for line in server.decisions("first-visit", outcome="skip")]
    checks.equal("recorded refusals", skips.count("already_sent"), TRIGGERS - 1)

    server.go_live("each-visit", on("came by", f"{receiver.base}/each", "every_time"))
    for number in range(25):
        server.track("a regular", "came by", message=f"visit-{number}")
    repeated = server.track("a regular", "came by", message="visit-7")
    checks.equal("a repeated id is answered as a duplicate", repeated["duplicates"], 1)
    eventually(lambda: len(receiver.at("/each")) >= 25)
    settled(lambda: len(receiver.calls))
    checks.equal("webhooks for 25 distinct ids, one of them sent twice", len(receiver.at("/each")), 25)


def on(event, url, frequency):
    return {
        "name": event,
        "trigger": {"kind": "event", "event": event},
        "frequency": {"kind": frequency},
        "content": {"kind": "webhook", "url": url, "body": ""},
    }


async def all_at_once(server, user, event):
    """Open every connection first, then send on all of them at the same moment."""
    links = []
    for _ in range(TRIGGERS // 50):
        opening = [asyncio.open_connection("127.0.0.1", server.port) for _ in range(50)]
        links += await asyncio.gather(*opening)
    key = base64.b64encode(f"{server.public}:".encode()).decode()
    for number, (_, writer) in enumerate(links):
        body = json.dumps({"userId": user, "event": event, "messageId": f"{event}-{number}"}).encode()
        writer.write(
            f"POST /v1/track HTTP/1.1\r\nHost: tidings\r\nAuthorization: Basic {key}\r\n"
            f"Content-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        )
    answers = await asyncio.gather(*(reader.read() for reader, _ in links))
    for _, writer in links:
        writer.close()
    return [int(answer.split(b" ", 2)[1]) if answer else 0 for answer in answers]
