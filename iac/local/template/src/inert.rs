//! The properties of resources that nothing on this machine acts on. They are listed so that a misspelt one
//! is refused here and not first at deployment.

pub(crate) const ALARM: &[&str] = &[
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "AlarmName",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Metrics",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Tags",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
];

pub(crate) const API_MAPPING: &[&str] = &["ApiId", "ApiMappingKey", "DomainName", "Stage"];

pub(crate) const DASHBOARD: &[&str] = &["DashboardBody", "DashboardName"];

pub(crate) const DOMAIN_NAME: &[&str] =
    &["DomainName", "DomainNameConfigurations", "MutualTlsAuthentication", "RoutingMode", "Tags"];

pub(crate) const EVENT_BUS_POLICY: &[&str] =
    &["Action", "Condition", "EventBusName", "Principal", "Statement", "StatementId"];

pub(crate) const LOG_GROUP: &[&str] = &[
    "DataProtectionPolicy",
    "FieldIndexPolicies",
    "KmsKeyId",
    "LogGroupClass",
    "LogGroupName",
    "RetentionInDays",
    "Tags",
];

pub(crate) const LOGS_RESOURCE_POLICY: &[&str] = &["PolicyDocument", "PolicyName"];

pub(crate) const MANAGED_POLICY: &[&str] =
    &["Description", "Groups", "ManagedPolicyName", "Path", "PolicyDocument", "Roles", "Users"];

pub(crate) const METRIC_FILTER: &[&str] =
    &["ApplyOnTransformedLogs", "FilterName", "FilterPattern", "LogGroupName", "MetricTransformations"];

pub(crate) const PERMISSION: &[&str] = &[
    "Action",
    "EventSourceToken",
    "FunctionName",
    "FunctionUrlAuthType",
    "Principal",
    "PrincipalOrgID",
    "SourceAccount",
    "SourceArn",
];

pub(crate) const POLICY: &[&str] = &["Groups", "PolicyDocument", "PolicyName", "Roles", "Users"];

pub(crate) const QUEUE_POLICY: &[&str] = &["PolicyDocument", "Queues"];

pub(crate) const ROLE: &[&str] = &[
    "AssumeRolePolicyDocument",
    "Description",
    "ManagedPolicyArns",
    "MaxSessionDuration",
    "Path",
    "PermissionsBoundary",
    "Policies",
    "RoleName",
    "Tags",
];

pub(crate) const TOPIC_POLICY: &[&str] = &["PolicyDocument", "Topics"];

pub(crate) const WEB_ACL: &[&str] = &[
    "ApplicationConfig",
    "AssociationConfig",
    "CaptchaConfig",
    "ChallengeConfig",
    "CustomResponseBodies",
    "DataProtectionConfig",
    "DefaultAction",
    "Description",
    "MonetizationConfig",
    "Name",
    "OnSourceDDoSProtectionConfig",
    "Rules",
    "Scope",
    "Tags",
    "TokenDomains",
    "VisibilityConfig",
];

pub(crate) const WEB_ACL_ASSOCIATION: &[&str] = &["ResourceArn", "WebACLArn"];
