//! Which of AWS's quotas, and of our own limits, a million requests a minute meet. Those of us-east-1; other regions
//! have less of some.

use super::Need;
use super::assumptions::HEADROOM;
use super::money::acus;

/// One quota.
#[derive(Debug, Clone)]
pub struct Quota {
    /// Whose, and of what.
    pub name: &'static str,
    /// What an account has unless it asks; none if nothing is limited.
    pub default: Option<f64>,
    /// What the mix needs.
    pub needed: f64,
    /// Whether AWS raises it, or we do.
    pub adjustable: bool,
    /// Where it is written.
    pub source: &'static str,
}

/// What has to be done about a quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It holds as it is.
    Enough,
    /// It is to be raised to so much.
    Raise(f64),
    /// It cannot be raised: the design has to change.
    Wall,
}

impl Quota {
    /// What has to be done.
    pub fn verdict(&self) -> Verdict {
        let wanted = self.needed * HEADROOM;
        match self.default {
            Some(default) if default < wanted && self.adjustable => Verdict::Raise(rounded_up(wanted)),
            Some(default) if default < wanted => Verdict::Wall,
            _ => Verdict::Enough,
        }
    }
}

/// All that may be met.
pub fn quotas(need: &Need) -> Vec<Quota> {
    let asked = &need.asked;
    let quota =
        |name, default, needed, adjustable, source| Quota { name, default, needed, adjustable, source };
    let template = "`template.yaml`";
    vec![
        quota(
            "Lambda, concurrent executions",
            Some(1000.0),
            need.concurrency(),
            true,
            "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
        ),
        quota(
            "API Gateway, requests and messages a second, all APIs",
            Some(10_000.0),
            need.http + need.messages,
            true,
            "https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html",
        ),
        quota(
            "REST API, requests a second (`RestRequestsPerSecond`)",
            Some(1000.0),
            need.http,
            true,
            template,
        ),
        quota("OCPP stage, messages a second (`OcppStage`)", Some(10_000.0), need.messages, true, template),
        quota(
            "AppSync, request tokens a second (5,000 in some regions)",
            Some(10_000.0),
            need.graphql,
            true,
            "https://docs.aws.amazon.com/general/latest/gr/appsync.html",
        ),
        quota(
            "EventBridge, PutEvents a second (2,400 in eu-central-1)",
            Some(10_000.0),
            asked.events,
            true,
            "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html",
        ),
        quota(
            "EventBridge, invocations of targets a second (4,500 in eu-central-1)",
            Some(18_750.0),
            asked.messages,
            true,
            "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html",
        ),
        quota(
            "Data API, statements a second",
            None,
            asked.data_api,
            false,
            "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api.differences.html",
        ),
        quota(
            "Aurora Serverless v2, ACU of the one writer",
            Some(256.0),
            acus(need),
            false,
            "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.how-it-works.html",
        ),
        quota(
            "DynamoDB on demand, writes a second of a table",
            Some(40_000.0),
            asked.dynamodb_writes,
            true,
            "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html",
        ),
        quota(
            "SQS standard queues, messages a second",
            None,
            asked.messages,
            false,
            "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html",
        ),
    ]
}

/// To two digits.
fn rounded_up(number: f64) -> f64 {
    let step = 10_f64.powf((number.log10().floor() - 1.0).max(0.0));
    (number / step).ceil() * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_has_headroom_before_a_quota_is_enough() {
        let quota = |default, adjustable| Quota { name: "", default, needed: 1234.0, adjustable, source: "" };
        assert_eq!(quota(None, false).verdict(), Verdict::Enough);
        assert_eq!(quota(Some(1851.0), false).verdict(), Verdict::Enough);
        assert_eq!(quota(Some(1850.0), true).verdict(), Verdict::Raise(1900.0));
        assert_eq!(quota(Some(1850.0), false).verdict(), Verdict::Wall);
    }
}
