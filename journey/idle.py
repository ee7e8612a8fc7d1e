"""How long an event takes to become a webhook, and what a server costs that does nothing."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import statistics
import time

from once import on

OUTREACHES = 1_000
CUSTOMERS = 100_000
ROUNDS = 200
SECONDS = 10


def walk(checks, server, post, receiver):
    latency(checks, server, receiver)
    fill(server, receiver)
    until_quiet(server.process.pid)
    share = share_of_a_core(server.process.pid, SECONDS)
    checks.that(f"idle with {OUTREACHES:,} live outreaches and {CUSTOMERS:,} customers: {share:.2f} % of a core",
                share < 1, f"{share:.2f} %")


def latency(checks, server, receiver):
    server.go_live("quick", on("knock", f"{receiver.base}/quick", "every_time"))
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"Authorization": f"Bearer {server.public}", "Content-Type": "application/json"}
    took = []
    for number in range(ROUNDS):
        time.sleep(0.01)
        seen = len(receiver.calls)
        body = json.dumps({"userId": "visitor", "event": "knock", "messageId": f"knock-{number}"})
        started = time.monotonic_ns()
        link.request("POST", "/v1/track", body, headers)
        link.getresponse().read()
        call = receiver.wait_for(lambda call: call.path == "/quick" and call.at > started)
        if call is None:
            break
        took.append((call.at - started) / 1e6)
        assert len(receiver.calls) == seen + 1
    checks.equal("events that became a webhook, one by one", len(took), ROUNDS)
    middle, most = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    print(f"note    event posted to webhook received: p50 {middle:.1f} ms, p95 {most:.1f} ms; "
          f"one fdatasync on this disk: {sync_cost(server.scratch):.1f} ms", flush=True)
    checks.that("the median is below 100 ms, debug build included", middle < 100, middle)


def sync_cost(folder):
    """The median cost of a small append with fdatasync, on the disk of the data folder."""
    path = pathlib.Path(folder) / "sync-probe"
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(50):
            started = time.monotonic_ns()
            file.write(b"x" * 512)
            os.fdatasync(file.fileno())
            took.append((time.monotonic_ns() - started) / 1e6)
    path.unlink()
    return statistics.median(took)


def fill(server, receiver):
    def outreach(number):
        server.go_live(f"many-{number}", on(f"rare {number}", f"{receiver.base}/rare", "once"))

    def people(first):
        server.batch([{
            "type": "identify", "userId": f"someone-{number}", "traits": {"plan": "free", "visits": number},
        } for number in range(first, first + 500)])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(outreach, range(OUTREACHES)))
        list(pool.map(people, range(0, CUSTOMERS, 500)))


def until_quiet(pid, patience=90):
    """Let the checkpoint of what was just written come, and to its end."""
    started = time.monotonic()
    time.sleep(12)
    while time.monotonic() - started < patience and share_of_a_core(pid, 2) >= 1:
        pass
    print(f"note    quiet {time.monotonic() - started:.0f} s after the last write", flush=True)


def share_of_a_core(pid, seconds):
    before = ticks(pid)
    time.sleep(seconds)
    return 100 * (ticks(pid) - before) / os.sysconf("SC_CLK_TCK") / seconds


def ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])
