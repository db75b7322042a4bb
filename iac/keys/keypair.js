// The key pair of access tokens: Ed25519, PEM, in the two secrets the functions read. The verifying one holds a list, so
// that during a rotation tokens of the old key still pass.
import { generateKeyPairSync, randomUUID } from "node:crypto";

export function tokenKeyPair() {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const kid = randomUUID();
  return { signing: { kid, privateKey }, verifying: { keys: [{ kid, publicKey }] } };
}

/** Answers a CloudFormation event; `put(secretArn, value)` stores one half. Only a Create makes keys. */
export async function answer(event, put) {
  const { SigningSecret, VerifyingSecret } = event.ResourceProperties;
  if (event.RequestType === "Create") {
    const { signing, verifying } = tokenKeyPair();
    // The public half first: a signer with no verifier behind it would lock every driver out.
    await put(VerifyingSecret, JSON.stringify(verifying));
    await put(SigningSecret, JSON.stringify(signing));
  }
  return { PhysicalResourceId: SigningSecret };
}
