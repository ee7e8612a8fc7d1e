// Verifies webhooks with the official package: as they came, and with one byte changed.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { secret, calls } = JSON.parse(readFileSync(0, "utf8"));
const webhook = new Webhook(secret);
const holds = (body, headers) => {
  try {
    webhook.verify(body, headers);
    return true;
  } catch {
    return false;
  }
};
const count = (change) => calls.filter((call) => holds(change(call.body), call.headers)).length;
console.log(JSON.stringify({ genuine: count((body) => body), forged: count((body) => `${body} `) }));
