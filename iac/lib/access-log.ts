// Who asked the edge for what, without queries: the live feed's bear access tokens, which CloudFront's own log would keep.
import { Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import type { IDistribution } from "aws-cdk-lib/aws-cloudfront";
import { PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { CfnDelivery, CfnDeliveryDestination, CfnDeliverySource } from "aws-cdk-lib/aws-logs";
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";

const FIELDS = [
  "date",
  "time",
  "x-edge-location",
  "c-ip",
  "cs-method",
  "cs-uri-stem",
  "sc-status",
  "sc-bytes",
  "cs-bytes",
  "time-taken",
  "cs(User-Agent)",
  "cs-protocol",
  "ssl-protocol",
  "x-edge-result-type",
  "x-edge-detailed-result-type",
  "x-edge-request-id",
];

export class AccessLog extends Construct {
  constructor(scope: Construct, id: string, { of, name }: { of: IDistribution; name: string }) {
    super(scope, id);

    const bucket = new Bucket(this, "Bucket", {
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      lifecycleRules: [{ expiration: Duration.days(90) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const { account, region, partition } = Stack.of(this);
    const allowed = bucket.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal("delivery.logs.amazonaws.com")],
        actions: ["s3:PutObject"],
        resources: [bucket.arnForObjects(`AWSLogs/${account}/CloudFront/*`)],
        conditions: {
          StringEquals: { "aws:SourceAccount": account, "s3:x-amz-acl": "bucket-owner-full-control" },
          ArnLike: { "aws:SourceArn": `arn:${partition}:logs:${region}:${account}:delivery-source:${name}` },
        },
      }),
    );

    const source = new CfnDeliverySource(this, "Source", {
      name,
      logType: "ACCESS_LOGS",
      resourceArn: of.distributionArn,
    });
    const destination = new CfnDeliveryDestination(this, "Destination", {
      name,
      destinationResourceArn: bucket.bucketArn,
      outputFormat: "json",
    });
    if (allowed.policyDependable !== undefined) {
      destination.node.addDependency(allowed.policyDependable);
    }
    const delivery = new CfnDelivery(this, "Delivery", {
      deliverySourceName: source.name,
      deliveryDestinationArn: destination.attrArn,
      recordFields: FIELDS,
    });
    delivery.addResourceDependency(source);
  }
}
