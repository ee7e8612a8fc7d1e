"""5,000 real purchases through the official client: what is stored, who is written to, and why not."""

import collections
import json
import pathlib
import subprocess
import urllib.parse
import urllib.request

import dkim

from mails import settled
from receiver import verify
from server import PUBLIC_URL, WEBHOOK_SECRET, eventually

HERE = pathlib.Path(__file__).parent
THANKS = 40
LARGE = 100


def walk(checks, server, post, receiver, data):
    server.go_live("thanks", thanks(post))
    server.go_live("large-order", large_order(receiver))
    people = sorted({purchase["customer"] for purchase in data})
    sent = send(server, people, data)
    checks.equal("the official client delivered its events", sent["tracked"], len(data))
    checks.equal("the official client delivered its identities", sent["identified"], len(people))
    checks.equal("events stored", stored(server, "Order Completed"), len(data))

    writes_to = {p["customer"] for p in data if is_pro(p["customer"]) and p["total"] >= THANKS}
    calls_about = {p["id"] for p in data if p["total"] >= LARGE}
    eventually(lambda: len(post.of("Thank you")) >= len(writes_to))
    eventually(lambda: len(receiver.at("/large")) >= len(calls_about))
    again = send(server, people, data)
    checks.equal("the client sent everything a second time", again["tracked"], len(data))
    settled(lambda: len(post.all()) + len(receiver.calls))
    checks.equal("events stored after the repetition", stored(server, "Order Completed"), len(data))

    mails = post.of("Thank you")
    checks.equal("mails, computed from the data", len(mails), len(writes_to))
    checks.that("each of these customers has exactly one mail",
                sorted(mail.to for mail in mails) == sorted([address(name)] for name in writes_to))
    checks.equal("webhooks, computed from the data", len(receiver.at("/large")), len(calls_about))
    checks.that("each large order has exactly one webhook",
                sorted(call.json()["order"] for call in receiver.at("/large")) == sorted(calls_about))
    look_at_mails(checks, server, post, mails)
    look_at_webhooks(checks, server, receiver)
    look_at_reasons(checks, server, data)
    count_audience(checks, server, people, data)
    unsubscribe(checks, server, mails)
    show_survey(checks, server)


def thanks(post):
    return {
        "name": "Thank you",
        "trigger": {"kind": "event", "event": "order completed", "where": {
            "kind": "property", "property": "total", "test": {"kind": "at_least", "value": THANKS}}},
        "audience": {"kind": "dynamic", "filter": {
            "kind": "attribute", "attribute": "plan", "test": {"kind": "is", "value": "pro"}}},
        "frequency": {"kind": "once"},
        "content": {
            "kind": "email", "from": f"The shop <hello@{post.domain}>",
            "subject": "Thank you, {{ customer.first_name }}",
            "html": "<p>Your order of <b>{{ event.properties.total }}</b> is on its way.</p>"
                    "<p><a href=\"https://shop.example/orders\">Your orders</a></p>",
        },
    }


def large_order(receiver):
    return {
        "name": "Large order",
        "trigger": {"kind": "event", "event": "Order Completed", "where": {
            "kind": "property", "property": "total", "test": {"kind": "at_least", "value": LARGE}}},
        "frequency": {"kind": "every_time"},
        "content": {
            "kind": "webhook", "url": f"{receiver.base}/large",
            "body": "{ \"order\": {{ event.properties.order_id }}, \"customer\": {{ customer.user_id }} }",
        },
    }


def is_pro(name):
    return int(name.split("-")[1]) % 3 == 0


def address(name):
    return f"{name}@customers.example"


def send(server, people, data):
    given = {
        "host": server.base,
        "writeKey": server.public,
        "identities": [{
            "userId": name, "messageId": f"identify-{name}",
            "traits": {"firstName": name, "email": address(name), "plan": "pro" if is_pro(name) else "free"},
        } for name in people],
        "events": [{
            "userId": p["customer"], "event": "Order Completed", "messageId": p["id"],
            "properties": {"order_id": p["id"], "total": p["total"], "records": p["records"], "date": p["date"]},
        } for p in data],
    }
    ran = subprocess.run(["node", HERE / "segment.mjs"], input=json.dumps(given).encode(),
                         capture_output=True, check=False, timeout=300)
    if ran.returncode:
        raise RuntimeError(f"the Segment client failed: {ran.stderr.decode()[-2000:]}")
    return json.loads(ran.stdout)


def stored(server, event):
    """How often an event is stored, by the catalogue of the project."""
    for line in server.ask("GET", "/api/v1/catalogue")["events"]:
        if line["name"].lower() == event.lower():
            return line["count"]
    return 0


def look_at_mails(checks, server, post, mails):
    checks.that("the relay was spoken to with AUTH", all(mail.user == post.user for mail in mails))
    if post.tls:
        checks.that("and inside TLS", all(mail.tls for mail in mails))
    else:
        print("note    the server cannot be told to trust our relay's certificate; AUTH without STARTTLS", flush=True)
    signed = sum(dkim.DKIM(mail.raw).verify(dnsfunc=post.dns) for mail in mails)
    checks.equal("mails whose DKIM signature dkimpy accepts", signed, len(mails))
    changed = sum(accepts(mail.raw.replace(b"order", b"0rder"), post) for mail in mails[:20])
    checks.equal("the same with a changed body", changed, 0)
    one_click = [mail for mail in mails
                 if mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
                 and str(mail.headers["List-Unsubscribe"]).startswith(f"<{PUBLIC_URL}/")]
    checks.equal("mails with one-click unsubscribe", len(one_click), len(mails))
    covered = [mail for mail in mails
               if {"list-unsubscribe", "list-unsubscribe-post"} <= set(mail.signed_headers())]
    checks.equal("with these headers under the signature", len(covered), len(mails))
    texts = [mail.parsed().get_body(("plain",)) for mail in mails]
    checks.equal("mails with a text part that says the same",
                 sum("is on its way" in text.get_content() for text in texts if text), len(mails))
    ids = {delivery["id"] for delivery in server.deliveries("thanks")}
    checks.that("every Message-ID is the id of its delivery",
                {mail.message_id.split("@")[0] for mail in mails} == ids, len(ids))


def accepts(raw, post):
    try:
        return dkim.DKIM(raw).verify(dnsfunc=post.dns)
    except dkim.DKIMException:
        return False


def look_at_webhooks(checks, server, receiver):
    calls = receiver.at("/large")
    genuine, forged = verify(calls, WEBHOOK_SECRET)
    checks.equal("webhooks that the official standardwebhooks package accepts", genuine, len(calls))
    checks.equal("the same with a changed body", forged, 0)
    ids = {delivery["id"] for delivery in server.deliveries("large-order")}
    checks.that("every webhook-id is the id of its delivery", {call.id for call in calls} == ids)


def look_at_reasons(checks, server, data):
    free = next(p["customer"] for p in data if p["total"] >= THANKS and not is_pro(p["customer"]))
    answer = server.ask("GET", f"/api/v1/explain?customer={free}&outreach=thanks")
    checks.equal("explain names the gate for a customer on the plan free", refusing(answer), "audience")
    skips = server.decisions("thanks", customer=free)
    checks.that("and the decision was recorded with its reason",
                skips and all(skip["reason"] == "not_in_audience" for skip in skips), skips[:1])
    served = next(p["customer"] for p in data if p["total"] >= THANKS and is_pro(p["customer"]))
    answer = server.ask("GET", f"/api/v1/explain?customer={served}&outreach=thanks")
    checks.equal("explain names the gate for a customer who has the mail", refusing(answer), "frequency")


def refusing(answer):
    """The first gate that refuses."""
    return next((gate["gate"] for gate in answer["gates"] if gate["verdict"].startswith("refuse")), None)


def count_audience(checks, server, people, data):
    """A count before anything is sent: customers on the plan pro with two orders of 25 or more."""
    larger = collections.Counter(p["customer"] for p in data if p["total"] >= 25)
    expected = sum(is_pro(name) and larger[name] >= 2 for name in people)
    answer = server.ask("POST", "/api/v1/audience/estimate", {"filter": {"kind": "all", "conditions": [
        {"kind": "attribute", "attribute": "plan", "test": {"kind": "is", "value": "pro"}},
        {"kind": "event", "event": "Order Completed",
         "test": {"kind": "count", "count": {"kind": "at_least", "n": 2}},
         "where": {"kind": "property", "property": "total", "test": {"kind": "at_least", "value": 25}}},
    ]}})
    checks.equal("customers an audience counts, computed from the data", answer["matched"], expected)


def unsubscribe(checks, server, mails):
    """One click, as a mail program does it; then the same customer is out of reach."""
    mail = mails[0]
    url = str(mail.headers["List-Unsubscribe"]).strip("<> ").replace(PUBLIC_URL, server.base)
    post = urllib.request.Request(url, b"List-Unsubscribe=One-Click", {
        "Content-Type": "application/x-www-form-urlencoded"})
    with urllib.request.urlopen(post, timeout=10) as response:
        checks.equal("one click unsubscribes", response.status, 200)
    name = mail.to[0].split("@")[0]
    server.ask("POST", "/api/v1/outreaches/thanks/clone", {"id": "thanks-again"}, expect=(201,))
    server.ask("POST", "/api/v1/outreaches/thanks-again/go-live")
    server.track(name, "Order Completed", order_id="one more", total=THANKS)
    decisions = server.decisions("thanks-again", customer=urllib.parse.quote(name))
    checks.equal("and the next mail is refused by the gate", [d.get("gate") for d in decisions], ["reach"])


def show_survey(checks, server):
    server.go_live("how-was-it", {
        "name": "How was it?",
        "trigger": {"kind": "event", "event": "checkout_completed"},
        "frequency": {"kind": "once"},
        "content": {"kind": "survey", "title": "One question", "questions": [
            {"kind": "nps", "id": "nps", "text": "Would you recommend us?"}]},
    })
    call = {"anonymousId": "a browser", "events": [{"name": "checkout_completed", "id": "checkout-1"}]}
    answer = server.ask("POST", "/v1/collect", call, key=server.public)
    shown = [item["type"] for item in answer["deliver"]]
    checks.equal("the answer to the event carries the survey it triggers", shown, ["survey"])
    delivery = answer["deliver"][0]["id"]
    who = "anonymousId=a%20browser"
    server.ask("POST", f"/v1/inbox/{delivery}/displayed?{who}", {}, key=server.public)
    inbox = server.ask("GET", f"/v1/inbox?{who}", key=server.public)
    checks.equal("once displayed it is in no other tab's inbox", inbox["deliver"], [])
