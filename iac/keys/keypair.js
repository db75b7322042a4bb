// The key pair of access tokens: Ed25519, in the two PEM forms the functions read.
import { generateKeyPairSync } from "node:crypto";

export function tokenKeyPair() {
  return generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
}

/** Answers a CloudFormation event; `put(secretArn, value)` stores one half. Only a Create makes keys. */
export async function answer(event, put) {
  const { SigningSecret, VerifyingSecret } = event.ResourceProperties;
  if (event.RequestType === "Create") {
    const { privateKey, publicKey } = tokenKeyPair();
    // The public half first: a signer with no verifier behind it would lock every driver out.
    await put(VerifyingSecret, publicKey);
    await put(SigningSecret, privateKey);
  }
  return { PhysicalResourceId: SigningSecret };
}
