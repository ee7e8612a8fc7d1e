// `node json_rules.mjs FOLDER`: the same rules and events with json-rules-engine.
//
// One engine per name of an event. Facts are flat and given as values, which is the package's
// fastest way; results are not sorted or cached beyond what it does by itself.

import { readFileSync } from "node:fs";
import { Engine } from "json-rules-engine";

const PASSES = 6;
const folder = process.argv[2];
const rules = JSON.parse(readFileSync(`${folder}/rules.json`));
const events = JSON.parse(readFileSync(`${folder}/events.json`));

const began = performance.now();
const engines = new Map();
rules.forEach((rule, place) => {
  if (!engines.has(rule.event)) engines.set(rule.event, new Engine([], { allowUndefinedFacts: true }));
  const all = [];
  if (rule.article) all.push({ fact: "article", operator: "equal", value: rule.article });
  all.push({ fact: "amount", operator: "greaterThanInclusive", value: rule.amount_at_least });
  all.push({ fact: "plan", operator: "equal", value: rule.plan });
  if (rule.country) all.push({ fact: "country", operator: "equal", value: rule.country });
  engines.get(rule.event).addRule({ conditions: { all }, event: { type: "met", params: { place } } });
});
const build = (performance.now() - began) / 1000;

const runs = [];
let total = 0;
let sum = 0;
for (let pass = 0; pass < PASSES; pass++) {
  total = 0;
  sum = 0;
  const before = process.cpuUsage();
  for (const event of events) {
    const engine = engines.get(event.name);
    if (!engine) continue;
    const answer = await engine.run({ ...event.properties, ...event.attributes });
    const met = answer.events.map((one) => one.params.place).sort((one, other) => one - other);
    total += met.length;
    for (const rule of met) sum = Number((BigInt(sum) * 31n + BigInt(rule) + 1n) % 1000000007n);
  }
  const used = process.cpuUsage(before);
  if (pass > 0) runs.push((used.user + used.system) / events.length);
}
console.log(JSON.stringify({
  engine: "json-rules-engine", rules: rules.length, events: events.length,
  micros: runs, met: total, sum, build_seconds: build,
}));
