// What the functions must know and nobody may read: the token key pair, the addresses and keys of outside services.
import { CustomResource, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Key } from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { Provider } from "aws-cdk-lib/custom-resources";
import { Construct } from "constructs";
import { fileURLToPath } from "node:url";

export class Secrets extends Construct {
  /** Encrypts the stores and the secrets at rest. */
  readonly key: Key;
  /** Ed25519 private key, PKCS #8 PEM. Read by the functions that issue tokens. */
  readonly jwtSigning: Secret;
  /** Ed25519 public key, SPKI PEM. Read by the authorizer. */
  readonly jwtVerifying: Secret;
  /** A MongoDB connection string; put in by an operator. */
  readonly mongo: Secret;
  /** An OpenChargeMap API key; put in by an operator. */
  readonly openChargeMap: Secret;

  constructor(scope: Construct, id: string) {
    super(scope, id);

    this.key = new Key(this, "Key", {
      alias: `alias/${Stack.of(this).stackName}`,
      description: "EV charging: stores and secrets at rest",
      enableKeyRotation: true,
      rotationPeriod: Duration.days(365),
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.jwtSigning = this.secret("JwtSigning", "Private key of access tokens (PEM)");
    this.jwtVerifying = this.secret("JwtVerifying", "Public key of access tokens (PEM)");
    this.mongo = this.secret("Mongo", "MongoDB connection string");
    this.openChargeMap = this.secret("OpenChargeMap", "OpenChargeMap API key");
    this.generateKeyPair();
  }

  /** Holds a random string, good for nothing, until its value is put in. */
  private secret(id: string, description: string): Secret {
    return new Secret(this, id, { description, encryptionKey: this.key, removalPolicy: RemovalPolicy.RETAIN });
  }

  /** The pair is made inside the account, once: the private half is never on a person's machine. */
  private generateKeyPair(): void {
    const maker = new lambda.Function(this, "KeyPairMaker", {
      description: "Makes the key pair of access tokens, once, at the first deployment",
      runtime: lambda.Runtime.NODEJS_24_X,
      handler: "index.handler",
      code: lambda.Code.fromAsset(fileURLToPath(new URL("../keys", import.meta.url)), { exclude: ["*.test.js"] }),
      timeout: Duration.seconds(30),
      logGroup: new LogGroup(this, "KeyPairLog", {
        retention: RetentionDays.ONE_MONTH,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
    });
    this.jwtSigning.grantWrite(maker);
    this.jwtVerifying.grantWrite(maker);
    const provider = new Provider(this, "KeyPairProvider", { onEventHandler: maker });
    new CustomResource(this, "KeyPair", {
      serviceToken: provider.serviceToken,
      resourceType: "Custom::TokenKeyPair",
      properties: { SigningSecret: this.jwtSigning.secretArn, VerifyingSecret: this.jwtVerifying.secretArn },
    });
  }
}
