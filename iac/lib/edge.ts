// The address that the world dials: CloudFront in front of the application's REST API and of its WebSocket APIs. It adds
// paths to chargers' API, and to all a wall that knows addresses and tokens, which API Gateway's own throttling does not.
import { CfnOutput, CfnParameter, Duration, Fn, Stack } from "aws-cdk-lib";
import { Certificate } from "aws-cdk-lib/aws-certificatemanager";
import * as cloudfront from "aws-cdk-lib/aws-cloudfront";
import { HttpOrigin } from "aws-cdk-lib/aws-cloudfront-origins";
import { Construct } from "constructs";
import { fileURLToPath } from "node:url";

import { AccessLog } from "./access-log.ts";
import { Wall } from "./wall.ts";

/** The errors that CloudFront would give to others for ten seconds, whatever else is cached. */
const KEPT_ERRORS = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504];

export class Edge extends Construct {
  constructor(scope: Construct, id: string) {
    super(scope, id);

    const ocppHost = host(scope, "OcppApiHost", "Host of the application's OCPP WebSocket API");
    const stage = new CfnParameter(scope, "OcppApiStage", {
      description: "Stage of that API",
      default: "v1",
      allowedPattern: "^[A-Za-z0-9_-]+$",
    });
    const liveHost = host(scope, "LiveApiHost", "Host of the live feed's WebSocket API, whose stage is the path /live");
    const httpHost = host(scope, "HttpApiHost", "Host of the REST API");
    const keySecret = new CfnParameter(scope, "EdgeKeyArn", {
      description: "ARN, in this region, of the secret by which the application knows the edge",
      allowedPattern: "^arn:[a-z-]+:secretsmanager:us-east-1:[0-9]{12}:secret:.+$",
    });

    // A name and a certificate of our own (in us-east-1) come by context; chargers and apps are set up with the name.
    const domain: string | undefined = this.node.tryGetContext("ocppDomain");
    const certificate: string | undefined = this.node.tryGetContext("ocppCertificateArn");
    if ((domain === undefined) !== (certificate === undefined)) {
      throw new Error("ocppDomain and ocppCertificateArn are given together or not at all");
    }

    const name = Stack.of(this).stackName;
    const wall = new Wall(this, "Wall", { name });
    const distribution = new cloudfront.Distribution(this, "Distribution", {
      comment: "REST at /v1, the live feed at /live; chargers dial wss://{this}/ocpp/{chargePointId}",
      ...(domain !== undefined && certificate !== undefined
        ? {
            domainNames: [domain],
            certificate: Certificate.fromCertificateArn(this, "Certificate", certificate),
            minimumProtocolVersion: cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
          }
        : {}),
      httpVersion: cloudfront.HttpVersion.HTTP1_1,
      webAclId: wall.arn,
      errorResponses: KEPT_ERRORS.map((httpStatus) => ({ httpStatus, ttl: Duration.seconds(0) })),
      // Answers 404 to every path that is no charger's.
      defaultBehavior: behavior(
        origin(ocppHost, { originPath: Fn.join("", ["/", stage.valueAsString]) }),
        cloudfront.AllowedMethods.ALLOW_GET_HEAD,
        this.request("Path", "ocpp-path.js", "/ocpp/{chargePointId} to /?chargePointId={id}"),
      ),
      additionalBehaviors: {
        // OPTIONS among the methods: the API itself answers preflights.
        "/v1/*": behavior(
          origin(httpHost, {
            customHeaders: {
              "x-ev-edge-key": Fn.join("", ["{{resolve:secretsmanager:", keySecret.valueAsString, ":SecretString}}"]),
            },
          }),
          cloudfront.AllowedMethods.ALLOW_ALL,
          this.request("ViewerAddress", "viewer-address.js", "Tells the application the viewer's address"),
        ),
        // The stage's name is the path.
        "/live": behavior(origin(liveHost), cloudfront.AllowedMethods.ALLOW_GET_HEAD),
      },
    });
    new AccessLog(this, "AccessLog", { of: distribution, name });

    const address = domain ?? distribution.distributionDomainName;
    const endpoints = {
      OcppEndpoint: ["What a charger is configured with; it appends its identity", "wss://", "/ocpp/"],
      ApiEndpoint: ["The REST API", "https://", "/v1"],
      LiveEndpoint: ["Where clients of the live feed dial, followed by ?token=", "wss://", "/live"],
    } as const;
    for (const [output, [description, scheme, path]] of Object.entries(endpoints)) {
      new CfnOutput(scope, output, { description, value: Fn.join("", [scheme, address, path]) });
    }
  }

  /** What becomes of a viewer's request: the function in `iac/edge/`. */
  private request(id: string, file: string, comment: string): cloudfront.FunctionAssociation {
    const code = cloudfront.FunctionCode.fromFile({
      filePath: fileURLToPath(new URL(`../edge/${file}`, import.meta.url)),
    });
    return {
      function: new cloudfront.Function(this, id, { comment, code, runtime: cloudfront.FunctionRuntime.JS_2_0 }),
      eventType: cloudfront.FunctionEventType.VIEWER_REQUEST,
    };
  }
}

function host(scope: Construct, id: string, what: string): string {
  const description = `${what}: {api-id}.execute-api.{region}.amazonaws.com`;
  return new CfnParameter(scope, id, { description, allowedPattern: "^[a-z0-9.-]+$" }).valueAsString;
}

function origin(
  domainName: string,
  more: { originPath?: string; customHeaders?: Record<string, string> } = {},
): HttpOrigin {
  return new HttpOrigin(domainName, {
    protocolPolicy: cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
    originSslProtocols: [cloudfront.OriginSslPolicy.TLS_V1_2],
    ...more,
  });
}

/** Nothing is kept: what the APIs answer is one caller's. */
function behavior(
  origin: HttpOrigin,
  allowedMethods: cloudfront.AllowedMethods,
  request?: cloudfront.FunctionAssociation,
): cloudfront.BehaviorOptions {
  return {
    origin,
    allowedMethods,
    viewerProtocolPolicy: cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
    cachePolicy: cloudfront.CachePolicy.CACHING_DISABLED,
    // With Authorization, Origin and Sec-WebSocket-Protocol; without the Host, which API Gateway would refuse.
    originRequestPolicy: cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
    ...(request === undefined ? {} : { functionAssociations: [request] }),
    compress: false,
  };
}
