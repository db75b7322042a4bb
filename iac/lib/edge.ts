// The address that chargers dial: CloudFront in front of the application's OCPP WebSocket API, which it adds paths to.
import { CfnOutput, CfnParameter, Duration, Fn, RemovalPolicy } from "aws-cdk-lib";
import { Certificate } from "aws-cdk-lib/aws-certificatemanager";
import * as cloudfront from "aws-cdk-lib/aws-cloudfront";
import { HttpOrigin } from "aws-cdk-lib/aws-cloudfront-origins";
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";
import { fileURLToPath } from "node:url";

export class Edge extends Construct {
  constructor(scope: Construct, id: string) {
    super(scope, id);

    const api = new CfnParameter(scope, "OcppApiHost", {
      description: "Host of the application's OCPP WebSocket API: {api-id}.execute-api.{region}.amazonaws.com",
      allowedPattern: "^[a-z0-9.-]+$",
    });
    const stage = new CfnParameter(scope, "OcppApiStage", {
      description: "Stage of that API",
      default: "v1",
      allowedPattern: "^[A-Za-z0-9_-]+$",
    });

    const rewrite = new cloudfront.Function(this, "Path", {
      comment: "/ocpp/{chargePointId} to /?chargePointId={id}",
      code: cloudfront.FunctionCode.fromFile({
        filePath: fileURLToPath(new URL("../edge/ocpp-path.js", import.meta.url)),
      }),
      runtime: cloudfront.FunctionRuntime.JS_2_0,
    });

    // A name and a certificate of our own (in us-east-1) come by context; chargers are set up with the name.
    const domain: string | undefined = this.node.tryGetContext("ocppDomain");
    const certificate: string | undefined = this.node.tryGetContext("ocppCertificateArn");
    if ((domain === undefined) !== (certificate === undefined)) {
      throw new Error("ocppDomain and ocppCertificateArn are given together or not at all");
    }

    const distribution = new cloudfront.Distribution(this, "Distribution", {
      comment: "OCPP: chargers dial wss://{this}/ocpp/{chargePointId}",
      ...(domain !== undefined && certificate !== undefined
        ? {
            domainNames: [domain],
            certificate: Certificate.fromCertificateArn(this, "Certificate", certificate),
            minimumProtocolVersion: cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
          }
        : {}),
      httpVersion: cloudfront.HttpVersion.HTTP1_1,
      enableLogging: true,
      logBucket: this.logBucket(),
      defaultBehavior: {
        origin: new HttpOrigin(api.valueAsString, {
          originPath: Fn.join("", ["/", stage.valueAsString]),
          protocolPolicy: cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
          originSslProtocols: [cloudfront.OriginSslPolicy.TLS_V1_2],
        }),
        viewerProtocolPolicy: cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
        allowedMethods: cloudfront.AllowedMethods.ALLOW_GET_HEAD,
        cachePolicy: cloudfront.CachePolicy.CACHING_DISABLED,
        // With the charger's Authorization and Sec-WebSocket-Protocol; without its Host, which API Gateway would refuse.
        originRequestPolicy: cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
        functionAssociations: [
          { function: rewrite, eventType: cloudfront.FunctionEventType.VIEWER_REQUEST },
        ],
        compress: false,
      },
    });

    new CfnOutput(scope, "OcppEndpoint", {
      description: "What a charger is configured with; it appends its identity",
      value: Fn.join("", ["wss://", domain ?? distribution.distributionDomainName, "/ocpp/"]),
    });
  }

  private logBucket(): Bucket {
    return new Bucket(this, "AccessLog", {
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      // CloudFront writes its logs with an ACL.
      objectOwnership: ObjectOwnership.OBJECT_WRITER,
      lifecycleRules: [{ expiration: Duration.days(90) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}
