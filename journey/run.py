"""The whole path by real protocols, against the real server binary.

Nothing here is ours twice: events come from the official Segment client, mail goes to a real SMTP
server, signatures are verified by the packages receivers use, and what is expected is computed
from the data without looking at the server. One line per check, and a closing count.
"""

import argparse
import pathlib
import resource
import shutil
import sys
import time
import traceback

import identity
import idle
import mails
import once
import one_off
import purchases
import shop
from checks import Checks
from receiver import Receiver
from server import Server


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--binary", required=True, type=pathlib.Path)
    arguments.add_argument("--scratch", required=True, type=pathlib.Path)
    arguments.add_argument("--only", help="the parts to run, separated by commas")
    given = arguments.parse_args()
    # A thousand connections at a time, here and in the server.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))
    checks = Checks()
    try:
        journey(given, checks)
    except Exception:
        traceback.print_exc()
        checks.that("the journey came to its end", False)
    sys.exit(checks.close())


def journey(given, checks):
    scratch = given.scratch
    data = purchases.fetch(scratch.parent / "journey-data")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    post = mails.PostOffice(scratch)
    receiver = Receiver()
    server = Server(given.binary.resolve(), scratch, post, receiver)
    world = {"checks": checks, "server": server, "post": post, "receiver": receiver}
    parts = {
        "shop": lambda: shop.walk(data=data, **world),
        "once": lambda: once.walk(**world),
        "identity": lambda: identity.walk(**world),
        "one_off": lambda: one_off.walk(**world),
        "idle": lambda: idle.walk(**world),
    }
    chosen = given.only.split(",") if given.only else list(parts)
    try:
        server.start()
        for name in chosen:
            started = time.monotonic()
            parts[name]()
            print(f"-- {name}: {time.monotonic() - started:.1f} s", flush=True)
        checks.that("no request failed on the server's side", not server.complaints(), server.complaints())
    finally:
        server.kill()
        post.close()
        receiver.close()


main()
