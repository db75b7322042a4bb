// What the edge lets through: so much of one token and of one address in a minute, and nothing known for an attack. Who
// asks for more is answered 429 until a minute has had fewer requests.
import { CfnWebACL } from "aws-cdk-lib/aws-wafv2";
import { Construct } from "constructs";

/** What AWS WAF counts as a rate, at the least. */
const LEAST = 10;

const DEFAULTS = {
  /** For one access token, or one charger's credentials. */
  requestsPerMinutePerUser: 300,
  /** For one address; all phones of a mobile network may share one. */
  requestsPerMinutePerAddress: 6000,
  /** For one address of chargers or vendors: a site's chargers dial in at once when its power is back. */
  machineRequestsPerMinutePerAddress: 30_000,
};

/** `Bearer` may be written in any case, and some who read a token pass over blanks. */
const ONE_SPELLING_DIGEST = ["COMPRESS_WHITE_SPACE", "LOWERCASE", "MD5"].map((type, priority) => ({ priority, type }));

type Setting = keyof typeof DEFAULTS;

export class Wall extends Construct {
  readonly arn: string;

  constructor(scope: Construct, id: string, { name }: { name: string }) {
    super(scope, id);

    const wall = new CfnWebACL(this, "Acl", {
      description: "What reaches the application through the edge",
      // Only in us-east-1.
      scope: "CLOUDFRONT",
      defaultAction: { allow: {} },
      visibilityConfig: visible(name),
      rules: [
        limit("per-user", 0, {
          aggregateKeyType: "CUSTOM_KEYS",
          // By its digest, however it is written. What bears none is counted by its address alone.
          customKeys: [{ header: { name: "authorization", textTransformations: ONE_SPELLING_DIGEST } }],
          limit: this.setting("requestsPerMinutePerUser"),
        }),
        limit("per-address", 1, {
          aggregateKeyType: "IP",
          limit: this.setting("requestsPerMinutePerAddress"),
          scopeDownStatement: { notStatement: { statement: machines() } },
        }),
        limit("per-machine-address", 2, {
          aggregateKeyType: "IP",
          limit: this.setting("machineRequestsPerMinutePerAddress"),
          scopeDownStatement: machines(),
        }),
        {
          name: "known-bad-inputs",
          priority: 3,
          overrideAction: { none: {} },
          visibilityConfig: visible("known-bad-inputs"),
          statement: {
            managedRuleGroupStatement: { vendorName: "AWS", name: "AWSManagedRulesKnownBadInputsRuleSet" },
          },
        },
      ],
    });
    this.arn = wall.attrArn;
  }

  private setting(name: Setting): number {
    const value = Number(this.node.tryGetContext(name) ?? DEFAULTS[name]);
    if (!Number.isInteger(value) || value < LEAST) {
      throw new Error(`${name} is a whole number of at least ${LEAST}`);
    }
    return value;
  }
}

function limit(
  name: string,
  priority: number,
  rate: Omit<CfnWebACL.RateBasedStatementProperty, "evaluationWindowSec">,
): CfnWebACL.RuleProperty {
  const statement = { rateBasedStatement: { ...rate, evaluationWindowSec: 60 } };
  const customResponse = { responseCode: 429, responseHeaders: [{ name: "Retry-After", value: "60" }] };
  return { name, priority, action: { block: { customResponse } }, visibilityConfig: visible(name), statement };
}

/** Chargers' and vendors' paths, as they are once read: a path may be written in many ways. */
function machines(): CfnWebACL.StatementProperty {
  const statements = ["/ocpp/", "/v1/vendor/"].map((searchString) => ({
    byteMatchStatement: {
      fieldToMatch: { uriPath: {} },
      positionalConstraint: "STARTS_WITH",
      searchString,
      textTransformations: [
        { priority: 0, type: "URL_DECODE" },
        { priority: 1, type: "NORMALIZE_PATH" },
      ],
    },
  }));
  return { orStatement: { statements } };
}

/** As a metric; samples would show tokens. */
function visible(metricName: string): CfnWebACL.VisibilityConfigProperty {
  return { cloudWatchMetricsEnabled: true, sampledRequestsEnabled: false, metricName };
}
