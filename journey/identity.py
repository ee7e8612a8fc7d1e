"""Who is meant: guests who become customers, and attributes that come with the event."""

from mails import settled
from once import on
from server import eventually


def walk(checks, server, post, receiver):
    server.go_live("guest-once", on("looked around", f"{receiver.base}/guest", "once"))
    guest = {"anonymousId": "guest-1", "event": "looked around", "messageId": "look-1"}
    server.ask("POST", "/v1/track", guest, key=server.public)
    eventually(lambda: receiver.at("/guest"))
    names = {"anonymousId": "guest-1", "userId": "guest-no-more", "traits": {"firstName": "Vera"}}
    server.ask("POST", "/v1/identify", names, key=server.public)
    server.track("guest-no-more", "looked around", message="look-2")
    settled(lambda: len(receiver.calls))
    checks.equal("webhooks for a guest who then identified and came again", len(receiver.at("/guest")), 1)
    skips = [line.get("reason") for line in server.decisions("guest-once", outcome="skip")]
    checks.equal("the second time was refused because of", skips, ["already_sent"])

    gold = on("upgraded", f"{receiver.base}/gold", "once")
    gold["audience"] = {"kind": "dynamic", "filter": {
        "kind": "custom_attribute", "attribute": "tier", "test": {"kind": "is", "value": "gold"}}}
    server.go_live("gold", gold)
    server.batch([
        {"type": "track", "userId": "too early", "event": "upgraded"},
        {"type": "identify", "userId": "too early", "traits": {"tier": "gold"}},
        {"type": "identify", "userId": "in time", "traits": {"tier": "gold"}},
        {"type": "track", "userId": "in time", "event": "upgraded"},
    ])
    eventually(lambda: receiver.at("/gold"))
    settled(lambda: len(receiver.calls))
    checks.equal("an attribute just before the event, in the same batch, is seen; one after it is not",
                 len(receiver.at("/gold")), 1)
    sent = [line["customer"] for line in server.decisions("gold", outcome="send")]
    customer = server.ask("GET", "/api/v1/customers/in%20time")
    checks.equal("and it is the right customer", sent, [customer["id"]])
