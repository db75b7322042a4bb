import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const source = readFileSync(new URL("ocpp-path.js", import.meta.url), "utf8");

function through(uri, querystring = {}) {
  const context = vm.createContext({ event: { request: { method: "GET", uri, querystring, headers: {} } } });
  // By way of JSON: what another context made is never deepEqual to ours.
  return JSON.parse(vm.runInContext(`${source}; JSON.stringify(handler(event))`, context));
}

const forwarded = (id) => ({ method: "GET", uri: "/", querystring: { chargePointId: { value: id } }, headers: {} });

test("the identity moves from the path to the query", () => {
  assert.deepEqual(through("/ocpp/CP-1"), forwarded("CP-1"));
});

test("the identity stays percent-encoded", () => {
  assert.deepEqual(through("/ocpp/BE%2FLU%20%231"), forwarded("BE%2FLU%20%231"));
  assert.deepEqual(through("/ocpp/caf%C3%A9"), forwarded("caf%C3%A9"));
});

test("what means something else in a query is encoded", () => {
  assert.deepEqual(through("/ocpp/a+b&c=d"), forwarded("a%2Bb%26c%3Dd"));
});

test("a query of the charger's own is dropped", () => {
  assert.deepEqual(through("/ocpp/CP-1", { chargePointId: { value: "CP-2" } }), forwarded("CP-1"));
});

for (const uri of ["/", "/ocpp", "/ocpp/", "/ocpp/a/b", "/ocpp/a/", "/OCPP/a", "/x/ocpp/a", "/ocpp/%", "/ocpp/%E0%A4"]) {
  test(`${uri} is not found`, () => {
    assert.equal(through(uri).statusCode, 404);
  });
}
