import assert from "node:assert/strict";
import { sign, verify } from "node:crypto";
import { test } from "node:test";

import { answer } from "./keypair.js";

const event = (RequestType) => ({ RequestType, ResourceProperties: { SigningSecret: "s", VerifyingSecret: "v" } });

test("the first deployment stores two halves of one pair", async () => {
  const stored = new Map();
  const told = await answer(event("Create"), async (arn, value) => stored.set(arn, value));
  assert.equal(told.PhysicalResourceId, "s");
  const signing = JSON.parse(stored.get("s"));
  const [verifying] = JSON.parse(stored.get("v")).keys;
  assert.equal(verifying.kid, signing.kid);
  const message = Buffer.from("token");
  assert.ok(verify(null, message, verifying.publicKey, sign(null, message, signing.privateKey)));
});

test("later deployments leave the keys alone", async () => {
  const refuse = async () => assert.fail("a key was replaced");
  await answer(event("Update"), refuse);
  await answer(event("Delete"), refuse);
});
