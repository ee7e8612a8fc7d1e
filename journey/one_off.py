"""A one-off mail to 10,000 customers, with the server killed three times in the middle."""

import collections

from mails import settled
from server import eventually

CUSTOMERS = 10_000
# Attempts that the server makes at a time.
UNDER_WAY = 16
KILL_AT = (1_500, 4_000, 7_000)


def walk(checks, server, post, receiver):
    server.ask("POST", "/api/v1/outreaches", {"id": "letter", "definition": letter(post)})
    before = len(post.all())
    identify(server, "reader", CUSTOMERS, {"newsletter": True})
    server.ask("POST", "/api/v1/outreaches/letter/launch")
    # Who joins after the launch does not get it.
    identify(server, "latecomer", 10, {"newsletter": True})
    killed_at = []
    for count in KILL_AT:
        if not eventually(lambda: len(post.all()) - before >= count, seconds=180, pause=0.01):
            break
        server.kill()
        killed_at.append(len(post.all()) - before)
        server.start()
    checks.that("the server was killed three times in the middle",
                len(killed_at) == 3 and killed_at[-1] < CUSTOMERS, killed_at)
    print(f"note    killed after {', '.join(f'{count:,}' for count in killed_at)} mails", flush=True)
    done(post, server)
    held = settle_held(server, post)
    checks.that(f"mails whose outcome nobody could know, settled by hand: {held}; at most those under way",
                held <= len(KILL_AT) * UNDER_WAY, held)
    done(post, server)
    counts = collections.Counter(mail.to[0] for mail in post.of("A letter"))
    expected = {f"reader-{number}@customers.example" for number in range(CUSTOMERS)}
    checks.equal("customers who got it twice", sum(count > 1 for count in counts.values()), 0)
    checks.equal("customers who did not get it", len(expected - set(counts)), 0)
    checks.equal("customers who should not have got it", len(set(counts) - expected), 0)
    checks.equal("deliveries recorded", len(server.deliveries("letter")), CUSTOMERS)


def letter(post):
    return {
        "name": "A letter",
        "trigger": {"kind": "one_off"},
        "audience": {"kind": "one_off", "filter": {
            "kind": "custom_attribute", "attribute": "newsletter", "test": {"kind": "is_true"}}},
        "content": {"kind": "email", "from": f"The shop <hello@{post.domain}>",
                    "subject": "A letter to {{ customer.user_id }}", "html": "<p>News.</p>"},
    }


def identify(server, prefix, count, traits):
    for first in range(0, count, 500):
        server.batch([{
            "type": "identify", "userId": f"{prefix}-{number}",
            "traits": {"email": f"{prefix}-{number}@customers.example", **traits},
        } for number in range(first, min(first + 500, count))])


def done(post, server):
    """Wait until no delivery is open any more and no mail comes."""
    def is_quiet():
        progress = server.ask("GET", "/api/v1/outreaches/letter/launch")
        open_states = ("waiting", "due", "attempting")
        return progress["done"] >= CUSTOMERS and not any(
            server.ask("GET", f"/api/v1/deliveries?outreach=letter&limit=1&state={state}")["items"]
            for state in open_states)

    eventually(is_quiet, seconds=240, pause=0.5)
    settled(lambda: len(post.all()), quiet=0.5)


def settle_held(server, post):
    """As an operator does it: look into the mailbox, and say what is there."""
    arrived = {mail.message_id.split("@")[0] for mail in post.of("A letter")}
    held = server.deliveries("letter", state="held")
    for delivery in held:
        outcome = "sent" if delivery["id"] in arrived else "retry"
        server.ask("POST", f"/api/v1/deliveries/{delivery['id']}/settle", {"outcome": outcome})
    return len(held)
