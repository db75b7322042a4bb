// The findings of the security rules (AwsSolutions) that stand, each with its reason. Any other finding fails `cdk synth`.
import { Validations, type Stack } from "aws-cdk-lib";

const FOUNDATION: Record<string, string> = {
  SMG4: "Token keys and the outside services' keys rotate with an overlap, by an operator; the database's rotates by itself",
  "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]":
    "The functions of the foundation write their own logs and no more",
  "IAM5[Resource::<SecretsKeyPairMakerA1F64F10.Arn>:*]": "Any version of the one function that the provider invokes",
};

const EDGE: Record<string, string> = {
  S1: "The bucket holds the access logs themselves",
  CFR1: "Chargers roam with their SIM cards; the country of an address says nothing",
  CFR3: "There is an access log, delivered without queries, which bear tokens; the rule knows only CloudFront's own",
  CFR4: "Holds for CloudFront's own name only; ocppDomain sets TLS 1.2",
};

export function accept(foundation: Stack, edge: Stack): void {
  for (const [stack, findings] of [[foundation, FOUNDATION], [edge, EDGE]] as const) {
    for (const [rule, reason] of Object.entries(findings)) {
      Validations.of(stack).acknowledge({ id: `AwsSolutions::AwsSolutions-${rule}`, reason });
    }
  }
}
