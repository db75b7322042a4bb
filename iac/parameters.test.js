import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { application, edge, lines } from "./parameters.js";

const outputs = [...readFileSync(new URL("lib/outputs.ts", import.meta.url), "utf8").matchAll(/^    (\w+): /gm)].map(
  ([, name]) => name,
);
const template = readFileSync(new URL("../template.yaml", import.meta.url), "utf8");
const declared = template.slice(template.indexOf("\nParameters:"), template.indexOf("\nGlobals:"));

test("the foundation gives the application only parameters it knows, and all it has no default for", () => {
  const given = application({ Foundation: Object.fromEntries(outputs.map((name) => [name, name])) });
  const known = [...declared.matchAll(/^  (\w+):\n((?: {4}.*\n)*)/gm)];
  const names = known.map(([, name]) => name);
  assert.deepEqual(Object.keys(given).filter((name) => !names.includes(name)), []);
  const needed = known.filter(([, , body]) => !body.includes("Default:")).map(([, name]) => name);
  assert.deepEqual(needed.filter((name) => !(name in given)), []);
});

test("the password of Redis is referred to, not told", () => {
  const { RedisUrl } = application({ F: { RedisUrl: "rediss://cache.example:6380", RedisSecretArn: "arn:s" } });
  assert.equal(RedisUrl, "rediss://:{{resolve:secretsmanager:arn:s:SecretString}}@cache.example:6380");
});

test("the edge fronts the stage of the application's WebSocket API", () => {
  const told = [{ OutputKey: "OcppUrl", OutputValue: "wss://abc.execute-api.eu-central-1.amazonaws.com/v1" }];
  assert.deepEqual(edge(told), { OcppApiHost: "abc.execute-api.eu-central-1.amazonaws.com", OcppApiStage: "v1" });
});

test("parameters are told as the CDK and SAM take them", () => {
  assert.deepEqual(lines("edge", { A: "1", B: "2" }), ["--parameters", "A=1", "--parameters", "B=2"]);
  assert.deepEqual(lines("application", { A: "1", B: "2" }), ["A=1", "B=2"]);
});
