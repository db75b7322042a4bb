// What the application is told of the foundation. Each name is a parameter of template.yaml, but RedisSecretArn, which
// iac/parameters.js puts into RedisUrl, and EdgeKeySecretArn, which it turns into EdgeKey and gives the edge as well.
import { CfnOutput, Fn, type Stack } from "aws-cdk-lib";

import type { Cache } from "./cache.ts";
import { Database } from "./database.ts";
import type { Network } from "./network.ts";
import type { Secrets } from "./secrets.ts";

export interface Parts {
  network: Network;
  secrets: Secrets;
  database: Database;
  cache: Cache;
}

export function publish(stack: Stack, { network, secrets, database, cache }: Parts): void {
  const values: Record<string, string> = {
    ClusterArn: database.cluster.clusterArn,
    DatabaseSecretArn: database.cluster.secret?.secretArn ?? "",
    DatabaseName: Database.NAME,
    RedisUrl: cache.url,
    RedisSecretArn: cache.password.secretArn,
    MongoSecretArn: secrets.mongo.secretArn,
    OcmSecretArn: secrets.openChargeMap.secretArn,
    JwtSigningSecretArn: secrets.jwtSigning.secretArn,
    JwtVerifyingSecretArn: secrets.jwtVerifying.secretArn,
    PaymentSecretArn: secrets.payments.secretArn,
    InvoiceLinkSecretArn: secrets.invoiceLinks.secretArn,
    EdgeKeySecretArn: secrets.edgeKey.secretArn,
    PrivateSubnetIds: Fn.join(",", network.vpc.selectSubnets({ subnetGroupName: "functions" }).subnetIds),
    FunctionSecurityGroupId: network.functions.securityGroupId,
    KeyArn: secrets.key.keyArn,
  };
  for (const [name, value] of Object.entries(values)) {
    new CfnOutput(stack, name, { value });
  }
}
