// Aurora PostgreSQL, the source of truth. Functions reach it through the Data API only.
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import type { IKey } from "aws-cdk-lib/aws-kms";
import * as rds from "aws-cdk-lib/aws-rds";
import { Construct } from "constructs";

import { Network } from "./network.ts";

export class Database extends Construct {
  static readonly NAME = "ev";
  readonly cluster: rds.DatabaseCluster;

  constructor(scope: Construct, id: string, { network, key }: { network: Network; key: IKey }) {
    super(scope, id);

    const engine = rds.DatabaseClusterEngine.auroraPostgres({ version: rds.AuroraPostgresEngineVersion.VER_16_11 });
    const instance = {
      // The Data API refuses the burstable (t) classes.
      instanceType: new ec2.InstanceType(this.node.tryGetContext("databaseInstance") ?? "r7g.large"),
      publiclyAccessible: false,
      enablePerformanceInsights: true,
      performanceInsightEncryptionKey: key,
    };
    this.cluster = new rds.DatabaseCluster(this, "Cluster", {
      engine,
      enableDataApi: true,
      defaultDatabaseName: Database.NAME,
      port: Network.POSTGRES,
      credentials: rds.Credentials.fromGeneratedSecret("ev_admin", { encryptionKey: key }),
      writer: rds.ClusterInstance.provisioned("writer", instance),
      // The Data API speaks to the writer alone: the reader is there to take over when the writer's zone fails.
      readers: [rds.ClusterInstance.provisioned("standby", { ...instance, promotionTier: 1 })],
      vpc: network.vpc,
      vpcSubnets: { subnetGroupName: "stores" },
      securityGroups: [network.database],
      storageEncrypted: true,
      storageEncryptionKey: key,
      iamAuthentication: true,
      backup: { retention: Duration.days(35), preferredWindow: "02:00-03:00" },
      preferredMaintenanceWindow: "sun:03:30-sun:04:30",
      copyTagsToSnapshot: true,
      cloudwatchLogsExports: ["postgresql"],

      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // Rotates from where the endpoint of Secrets Manager and the database can be reached.
    this.cluster.addRotationSingleUser({
      automaticallyAfter: Duration.days(30),
      vpcSubnets: { subnetGroupName: "functions" },
      securityGroup: network.functions,
    });
  }
}
