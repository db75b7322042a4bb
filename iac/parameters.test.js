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

test("the password of Redis and the edge's key are referred to, not told", () => {
  const told = { RedisUrl: "rediss://cache.example:6380", RedisSecretArn: "arn:s", EdgeKeySecretArn: "arn:e" };
  const { RedisUrl, EdgeKey } = application({ F: told });
  assert.equal(RedisUrl, "rediss://:{{resolve:secretsmanager:arn:s:SecretString}}@cache.example:6380");
  assert.equal(EdgeKey, "{{resolve:secretsmanager:arn:e:SecretString}}");
});

test("the edge fronts the application's APIs, with the replica of its key", () => {
  const host = (id) => `${id}.execute-api.eu-central-1.amazonaws.com`;
  const told = Object.entries({
    OcppUrl: `wss://${host("a")}/v1`,
    LiveUrl: `wss://${host("b")}/live`,
    HttpUrl: `https://${host("c")}`,
  }).map(([OutputKey, OutputValue]) => ({ OutputKey, OutputValue }));
  const secret = (region) => `arn:aws:secretsmanager:${region}:123456789012:secret:EdgeKey-a1:b2`;
  assert.deepEqual(edge(told, { F: { EdgeKeySecretArn: secret("eu-central-1") } }), {
    OcppApiHost: host("a"),
    OcppApiStage: "v1",
    LiveApiHost: host("b"),
    HttpApiHost: host("c"),
    EdgeKeyArn: secret("us-east-1"),
  });
});

test("the edge's parameters are those that are given", () => {
  const source = readFileSync(new URL("lib/edge.ts", import.meta.url), "utf8");
  const taken = [...source.matchAll(/(?:host\(scope|CfnParameter\(scope), "(\w+)"/g)].map(([, name]) => name);
  const told = ["OcppUrl", "LiveUrl", "HttpUrl"].map((OutputKey) => ({ OutputKey, OutputValue: "wss://a.example/x" }));
  assert.deepEqual(Object.keys(edge(told, { F: { EdgeKeySecretArn: "" } })).sort(), taken.sort());
  for (const { OutputKey } of told) {
    assert.match(template.slice(template.indexOf("\nOutputs:")), new RegExp(`^  ${OutputKey}:`, "m"));
  }
});

test("the live feed's stage is the path that the edge has for it", () => {
  const stage = /^  LiveStage:\n(?: {4}.*\n)*? {6}StageName: (\w+)\n/m.exec(template);
  const source = readFileSync(new URL("lib/edge.ts", import.meta.url), "utf8");
  assert.ok(source.includes(`"/${stage[1]}": behavior(`));
});

test("parameters are told as the CDK and SAM take them", () => {
  assert.deepEqual(lines("edge", { A: "1", B: "2" }), ["--parameters", "A=1", "--parameters", "B=2"]);
  assert.deepEqual(lines("application", { A: "1", B: "2" }), ["A=1", "B=2"]);
});
