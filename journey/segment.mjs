// Sends what it reads from stdin with the official Segment client, unchanged.
// Identities first, and events only when these are safe, as a shop would do it on different days.
import { readFileSync } from "node:fs";
import { Analytics } from "@segment/analytics-node";

const { host, writeKey, identities, events } = JSON.parse(readFileSync(0, "utf8"));
const failures = [];

async function send(act, items) {
  const analytics = new Analytics({ host, writeKey, flushAt: 100, flushInterval: 100, maxRetries: 5 });
  analytics.on("error", (error) => failures.push(String(error.reason ?? error.code ?? error)));
  let delivered = 0;
  await Promise.all(items.map((item) => new Promise((resolve) => {
    act(analytics, item, (error) => {
      if (!error) delivered += 1;
      resolve();
    });
  })));
  await analytics.closeAndFlush({ timeout: 60000 });
  return delivered;
}

const identified = await send((analytics, item, done) => analytics.identify(item, done), identities);
const tracked = await send((analytics, item, done) => analytics.track(item, done), events);
console.log(JSON.stringify({ identified, tracked, failures: failures.slice(0, 5) }));
