// What the functions must know and nobody may read: the token key pair, the addresses and keys of outside services.
import { Aws, CfnCondition, CustomResource, Duration, Fn, RemovalPolicy, Stack } from "aws-cdk-lib";
import { AnyPrincipal, PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { type CfnSecret, Secret } from "aws-cdk-lib/aws-secretsmanager";
import { Provider } from "aws-cdk-lib/custom-resources";
import { Construct } from "constructs";
import { fileURLToPath } from "node:url";

export class Secrets extends Construct {
  /** Encrypts the stores and the secrets at rest. */
  readonly key: Key;
  /** `{"kid", "privateKey"}`, PKCS #8 PEM. Read by the functions that issue tokens. */
  readonly jwtSigning: Secret;
  /** `{"keys": [{"kid", "publicKey"}]}`, SPKI PEM. Read by the authorizer. */
  readonly jwtVerifying: Secret;
  /** `{"uri", "database"}`; the address put in by an operator. */
  readonly mongo: Secret;
  /** `{"key", "url"}`; the key put in by an operator. */
  readonly openChargeMap: Secret;
  /** `{"apiKey", "webhookSecrets", "url"}`; key and webhook secrets put in by an operator, two while one is rotated. */
  readonly payments: Secret;
  /** `{"key"}`. Signs the links by which an invoice's page is opened. */
  readonly invoiceLinks: Secret;
  /** A plain string, by which the application knows that a request came through the edge. */
  readonly edgeKey: Secret;

  constructor(scope: Construct, id: string) {
    super(scope, id);

    this.key = new Key(this, "Key", {
      alias: `alias/${Stack.of(this).stackName}`,
      description: "EV charging: stores and secrets at rest",
      enableKeyRotation: true,
      rotationPeriod: Duration.days(365),
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.letSecretsBeUsed();
    this.letAlarmsBePublished();
    this.jwtSigning = this.secret("JwtSigning", "Private key of access tokens", "privateKey", {});
    this.jwtVerifying = this.secret("JwtVerifying", "Public keys of access tokens", "none", { keys: [] });
    this.mongo = this.secret("Mongo", "Where the OpenChargeMap mirror is", "uri", { database: "ocm" });
    this.openChargeMap = this.secret("OpenChargeMap", "OpenChargeMap API", "key", {
      url: "https://api.openchargemap.io/v3",
    });
    this.payments = this.secret("Payments", "Payment provider", "apiKey", {
      webhookSecrets: [],
      url: "https://api.stripe.com",
    });
    // Here the random string is the value.
    this.invoiceLinks = this.secret("InvoiceLinks", "Key of links to invoices", "key", {});
    this.edgeKey = this.secretOfTheEdge();
    this.generateKeyPair();
  }

  /** Also in us-east-1, where the edge is deployed. */
  private secretOfTheEdge(): Secret {
    const secret = new Secret(this, "EdgeKey", {
      description: "What the edge proves itself with to the application",
      encryptionKey: this.key,
      generateSecretString: { passwordLength: 64, excludePunctuation: true, includeSpace: false },
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const elsewhere = new CfnCondition(this, "NotWhereTheEdgeIs", {
      expression: Fn.conditionNot(Fn.conditionEquals(Aws.REGION, "us-east-1")),
    });
    // A secret cannot be its own replica.
    const replicas = Fn.conditionIf(elsewhere.logicalId, [{ Region: "us-east-1" }], Aws.NO_VALUE);
    (secret.node.defaultChild as CfnSecret).addPropertyOverride("ReplicaRegions", replicas);
    return secret;
  }

  /** `missing` holds a random string, good for nothing, until its value is put in. */
  private secret(id: string, description: string, missing: string, known: object): Secret {
    return new Secret(this, id, {
      description,
      encryptionKey: this.key,
      generateSecretString: { generateStringKey: missing, secretStringTemplate: JSON.stringify(known) },
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }

  /**
   * Who may read a secret, or put a new value into it as rotate-keys does, is said by its own policies and the roles';
   * the key follows them, within the account.
   */
  private letSecretsBeUsed(): void {
    const { account, region } = Stack.of(this);
    this.key.addToResourcePolicy(
      new PolicyStatement({
        principals: [new AnyPrincipal()],
        actions: ["kms:Decrypt", "kms:GenerateDataKey"],
        resources: ["*"],
        conditions: {
          StringEquals: { "kms:CallerAccount": account, "kms:ViaService": `secretsmanager.${region}.amazonaws.com` },
        },
      }),
    );
  }

  /** The application's alarm topic is encrypted with the key, and CloudWatch is who publishes to it. */
  private letAlarmsBePublished(): void {
    this.key.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal("cloudwatch.amazonaws.com")],
        actions: ["kms:Decrypt", "kms:GenerateDataKey*"],
        resources: ["*"],
        conditions: { StringEquals: { "aws:SourceAccount": Stack.of(this).account } },
      }),
    );
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
