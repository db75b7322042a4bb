// Redis: what must be fast, and never the only copy of anything but a hold. TLS and a password, one standby.
import { Fn, RemovalPolicy } from "aws-cdk-lib";
import * as elasticache from "aws-cdk-lib/aws-elasticache";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { Construct } from "constructs";

import { Network } from "./network.ts";

export class Cache extends Construct {
  /** `rediss://host:port`, without the password. */
  readonly url: string;
  /** The password alone, as a plain string. */
  readonly password: Secret;

  constructor(scope: Construct, id: string, { network, key }: { network: Network; key: IKey }) {
    super(scope, id);

    this.password = new Secret(this, "Password", {
      description: "The password of Redis",
      encryptionKey: key,
      // ElastiCache takes 16 to 128 characters of a short alphabet.
      generateSecretString: { passwordLength: 64, excludePunctuation: true, includeSpace: false },
    });
    const subnets = new elasticache.CfnSubnetGroup(this, "Subnets", {
      description: "Subnets of the stores",
      subnetIds: network.vpc.selectSubnets({ subnetGroupName: "stores" }).subnetIds,
    });
    const slow = new LogGroup(this, "SlowLog", {
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // When memory is short, what was not asked for longest goes first, of what would lapse anyway. Nothing here is the
    // only copy: a hold that went is still in the database, which sells no slot twice; a count begins anew.
    const parameters = new elasticache.CfnParameterGroup(this, "Parameters", {
      description: "EV charging",
      cacheParameterGroupFamily: "redis7",
      properties: { "maxmemory-policy": "volatile-lru" },
    });
    // One shard: a hold is one Lua script over several keys, which a cluster of shards would refuse.
    const group = new elasticache.CfnReplicationGroup(this, "Group", {
      replicationGroupDescription: "EV charging: connector states, caches, holds",
      engine: "redis",
      engineVersion: "7.1",
      cacheNodeType: this.node.tryGetContext("cacheNode") ?? "cache.r7g.large",
      port: Network.REDIS,
      numCacheClusters: 2,
      automaticFailoverEnabled: true,
      multiAzEnabled: true,
      transitEncryptionEnabled: true,
      atRestEncryptionEnabled: true,
      kmsKeyId: key.keyArn,
      authToken: this.password.secretValue.unsafeUnwrap(),
      cacheSubnetGroupName: subnets.ref,
      cacheParameterGroupName: parameters.ref,
      securityGroupIds: [network.cache.securityGroupId],
      snapshotRetentionLimit: 1,
      autoMinorVersionUpgrade: true,
      logDeliveryConfigurations: [
        {
          destinationType: "cloudwatch-logs",
          destinationDetails: { cloudWatchLogsDetails: { logGroup: slow.logGroupName } },
          logFormat: "json",
          logType: "slow-log",
        },
      ],
    });
    this.url = Fn.join("", [
      "rediss://",
      group.attrPrimaryEndPointAddress,
      ":",
      group.attrPrimaryEndPointPort,
    ]);
  }
}
