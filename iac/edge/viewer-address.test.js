import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const source = readFileSync(new URL("viewer-address.js", import.meta.url), "utf8");

test("the viewer's address is told, whatever the viewer says of it", () => {
  const headers = { authorization: { value: "Bearer x" }, "x-viewer-address": { value: "192.0.2.1" } };
  const request = { method: "GET", uri: "/v1/stations", querystring: { radiusKm: { value: "5" } }, headers };
  const context = vm.createContext({ event: { request, viewer: { ip: "2001:db8::9" } } });
  // By way of JSON: what another context made is never deepEqual to ours.
  const through = JSON.parse(vm.runInContext(`${source}; JSON.stringify(handler(event))`, context));
  assert.deepEqual(through.headers, {
    authorization: { value: "Bearer x" },
    "x-viewer-address": { value: "2001:db8::9" },
  });
  assert.deepEqual([through.uri, through.querystring], ["/v1/stations", { radiusKm: { value: "5" } }]);
});
