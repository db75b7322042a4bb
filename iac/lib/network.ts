// The private network that functions and stores share: who may reach whom, and how traffic leaves.
import { Stack } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import { AwsCustomResource, AwsCustomResourcePolicy, PhysicalResourceId } from "aws-cdk-lib/custom-resources";
import { Construct } from "constructs";

export class Network extends Construct {
  /** Neither store listens on its well-known port, the first that an intruder tries. */
  static readonly POSTGRES = 5433;
  static readonly REDIS = 6380;

  readonly vpc: ec2.Vpc;
  /** Every function that enters the network wears this one. */
  readonly functions: ec2.SecurityGroup;
  readonly database: ec2.SecurityGroup;
  readonly cache: ec2.SecurityGroup;

  constructor(scope: Construct, id: string) {
    super(scope, id);

    this.vpc = new ec2.Vpc(this, "Vpc", {
      ipAddresses: ec2.IpAddresses.cidr(this.node.tryGetContext("vpcCidr") ?? "10.40.0.0/16"),
      maxAzs: 3,
      // OpenChargeMap and a hosted MongoDB are only on the internet. No endpoint for execute-api: with private DNS it
      // would answer for, and refuse, every WebSocket API of the region.
      natGateways: Number(this.node.tryGetContext("natGateways") ?? 1),
      subnetConfiguration: [
        { name: "public", subnetType: ec2.SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
        { name: "functions", subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 20 },
        { name: "stores", subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 24 },
      ],
      gatewayEndpoints: {
        S3: { service: ec2.GatewayVpcEndpointAwsService.S3 },
        DynamoDb: { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB },
      },
      flowLogs: { Rejected: { trafficType: ec2.FlowLogTrafficType.REJECT } },
    });

    this.functions = this.group("Functions", "Functions of the application", true);
    this.database = this.group("DatabaseGroup", "Aurora", false);
    this.cache = this.group("CacheGroup", "Redis", false);
    this.database.addIngressRule(this.functions, ec2.Port.tcp(Network.POSTGRES), "functions");
    this.cache.addIngressRule(this.functions, ec2.Port.tcp(Network.REDIS), "functions");

    const endpoints = this.group("Endpoints", "AWS services inside the network", false);
    endpoints.addIngressRule(this.functions, ec2.Port.tcp(443), "functions");
    for (const [name, service] of Object.entries({
      RdsData: ec2.InterfaceVpcEndpointAwsService.RDS_DATA,
      SecretsManager: ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
      EventBridge: ec2.InterfaceVpcEndpointAwsService.EVENTBRIDGE,
      Sqs: ec2.InterfaceVpcEndpointAwsService.SQS,
    })) {
      this.vpc.addInterfaceEndpoint(name, { service, securityGroups: [endpoints], open: false });
    }

    this.peerWithAtlas();
  }

  private group(id: string, description: string, allowAllOutbound: boolean): ec2.SecurityGroup {
    return new ec2.SecurityGroup(this, id, { vpc: this.vpc, description, allowAllOutbound });
  }

  /**
   * Atlas asks for the peering; we accept it and route to it. Both values come from Atlas once the request is made:
   * `cdk deploy -c atlasPeeringId=pcx-… -c atlasCidr=192.168.248.0/21`. Without them functions reach MongoDB over TLS
   * through the NAT gateway.
   */
  private peerWithAtlas(): void {
    const peering: string | undefined = this.node.tryGetContext("atlasPeeringId");
    const cidr: string | undefined = this.node.tryGetContext("atlasCidr");
    if (peering === undefined && cidr === undefined) return;
    if (peering === undefined || cidr === undefined) {
      throw new Error("atlasPeeringId and atlasCidr are given together or not at all");
    }
    const accepted = new AwsCustomResource(this, "AtlasPeering", {
      onCreate: {
        service: "EC2",
        action: "acceptVpcPeeringConnection",
        parameters: { VpcPeeringConnectionId: peering },
        physicalResourceId: PhysicalResourceId.of(peering),
      },
      policy: AwsCustomResourcePolicy.fromSdkCalls({
        resources: [
          Stack.of(this).formatArn({ service: "ec2", resource: "vpc-peering-connection", resourceName: peering }),
          this.vpc.vpcArn,
        ],
      }),
      installLatestAwsSdk: false,
    });
    this.vpc.selectSubnets({ subnetGroupName: "functions" }).subnets.forEach((subnet, index) => {
      const route = new ec2.CfnRoute(this, `AtlasRoute${index}`, {
        routeTableId: subnet.routeTable.routeTableId,
        destinationCidrBlock: cidr,
        vpcPeeringConnectionId: peering,
      });
      route.node.addDependency(accepted);
    });
  }
}
