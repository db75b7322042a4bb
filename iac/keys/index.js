// Entry point of the key pair maker; the SDK is the Lambda runtime's own.
import { PutSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { answer } from "./keypair.js";

const client = new SecretsManagerClient({});

export const handler = (event) =>
  answer(event, (SecretId, SecretString) => client.send(new PutSecretValueCommand({ SecretId, SecretString })));
