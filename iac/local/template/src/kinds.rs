//! The resource kinds this machine understands: what `Ref` and `GetAtt` give for each, in the formats AWS
//! uses. Names and ids derive from the stack and the logical id alone, so they are the same at every start.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::intrinsics::{Declared, Scope};
use crate::{LoadOptions, TemplateError, inert};

/// One kind of resource.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) identify: fn(&Naming<'_, '_>) -> Result<Identity, TemplateError>,
    /// `None`: a door reads the properties, and refuses those it does not know. `Some`: nothing on this
    /// machine acts on the resource, and these are the properties it may have.
    pub(crate) inert: Option<&'static [&'static str]>,
}

/// What a resource is called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) physical_id: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// What a kind may look at to name a resource.
pub(crate) struct Naming<'s, 't> {
    pub(crate) scope: &'s Scope<'t>,
    pub(crate) logical_id: &'s str,
    pub(crate) properties: &'s Value,
}

/// The kind called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

macro_rules! kinds {
    ($($name:literal => $identify:expr, $inert:expr;)*) => {
        &[$(Kind { name: $name, identify: $identify, inert: $inert }),*]
    };
}

static KINDS: &[Kind] = kinds! {
    "AWS::ApiGatewayV2::Api" => api, None;
    "AWS::ApiGatewayV2::ApiMapping" => |n| n.numbered("ApiMappingId"), Some(inert::API_MAPPING);
    "AWS::ApiGatewayV2::Authorizer" => |n| n.numbered("AuthorizerId"), None;
    "AWS::ApiGatewayV2::Deployment" => |n| n.numbered("DeploymentId"), None;
    "AWS::ApiGatewayV2::DomainName" => domain_name, Some(inert::DOMAIN_NAME);
    "AWS::ApiGatewayV2::Integration" => |n| n.numbered("IntegrationId"), None;
    "AWS::ApiGatewayV2::IntegrationResponse" => |n| n.numbered("IntegrationResponseId"), None;
    "AWS::ApiGatewayV2::Route" => |n| n.numbered("RouteId"), None;
    "AWS::ApiGatewayV2::RouteResponse" => |n| n.numbered("RouteResponseId"), None;
    "AWS::ApiGatewayV2::Stage" => |n| Ok(Identity::new(n.required("StageName")?)), None;
    "AWS::AppSync::ApiKey" => api_key, None;
    "AWS::AppSync::DataSource" => data_source, None;
    "AWS::AppSync::FunctionConfiguration" => pipeline_function, None;
    "AWS::AppSync::GraphQLApi" => graphql_api, None;
    "AWS::AppSync::GraphQLSchema" => graphql_schema, None;
    "AWS::AppSync::Resolver" => resolver, None;
    "AWS::CloudWatch::Alarm" => alarm, Some(inert::ALARM);
    "AWS::CloudWatch::Dashboard" => |n| Ok(Identity::new(n.name("DashboardName", 255)?)), Some(inert::DASHBOARD);
    "AWS::DynamoDB::Table" => table, None;
    "AWS::Events::EventBus" => event_bus, None;
    "AWS::Events::EventBusPolicy" => |n| Ok(Identity::new(n.required("StatementId")?)), Some(inert::EVENT_BUS_POLICY);
    "AWS::Events::Rule" => rule, None;
    "AWS::IAM::ManagedPolicy" => managed_policy, Some(inert::MANAGED_POLICY);
    "AWS::IAM::Policy" => |n| n.numbered("Id"), Some(inert::POLICY);
    "AWS::IAM::Role" => role, Some(inert::ROLE);
    "AWS::Lambda::Permission" => |n| n.numbered("Id"), Some(inert::PERMISSION);
    "AWS::Logs::LogGroup" => log_group, Some(inert::LOG_GROUP);
    "AWS::Logs::MetricFilter" => |n| Ok(Identity::new(n.name("FilterName", 255)?)), Some(inert::METRIC_FILTER);
    "AWS::Logs::ResourcePolicy" => |n| Ok(Identity::new(n.required("PolicyName")?)), Some(inert::LOGS_RESOURCE_POLICY);
    "AWS::SNS::Subscription" => subscription, None;
    "AWS::SNS::Topic" => topic, None;
    "AWS::SNS::TopicPolicy" => |n| n.numbered("Id"), Some(inert::TOPIC_POLICY);
    "AWS::SQS::Queue" => queue, None;
    "AWS::SQS::QueuePolicy" => |n| n.numbered("Id"), Some(inert::QUEUE_POLICY);
    "AWS::Serverless::Function" => function, None;
    "AWS::Serverless::HttpApi" => api, None;
    "AWS::WAFv2::WebACL" => web_acl, Some(inert::WEB_ACL);
    "AWS::WAFv2::WebACLAssociation" => |n| n.numbered("Id"), Some(inert::WEB_ACL_ASSOCIATION);
};

/// A resource that SAM adds: its identity, and what to depend on in its stead.
pub(crate) fn implied(
    scope: &Scope<'_>,
    logical_id: &str,
) -> Option<(String, Result<Identity, TemplateError>)> {
    let nothing = Value::Null;
    let naming = Naming { scope, logical_id, properties: &nothing };
    if let Some(owner) = logical_id.strip_suffix("Role") {
        let declared = scope.resources.get(owner)?;
        let given = declared.properties.get("Role").is_some();
        return (declared.kind.name == FUNCTION && !given).then(|| (owner.to_owned(), role(&naming)));
    }
    let shared_api = logical_id == IMPLICIT_HTTP_API && scope.resources.values().any(has_implicit_http_event);
    shared_api.then(|| (logical_id.to_owned(), api(&naming)))
}

/// The kind SAM expands most.
pub(crate) const FUNCTION: &str = "AWS::Serverless::Function";
/// The API that SAM adds for `HttpApi` events that name none.
pub(crate) const IMPLICIT_HTTP_API: &str = "ServerlessHttpApi";

/// Whether one of a function's events makes SAM add that API.
pub(crate) fn has_implicit_http_event(declared: &Declared) -> bool {
    let events = declared.properties.get("Events").and_then(Value::as_object);
    declared.kind.name == FUNCTION
        && events.is_some_and(|events| {
            events.values().any(|event| {
                event["Type"] == "HttpApi"
                    && event.get("Properties").is_none_or(|properties| properties.get("ApiId").is_none())
            })
        })
}

pub(crate) const HEX: &[u8] = b"0123456789abcdef";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// `length` characters of `alphabet` that depend on `parts` alone.
pub(crate) fn digest(parts: &[&str], alphabet: &[u8], length: usize) -> String {
    let hash = Sha256::digest(parts.join("\u{0}"));
    hash.iter()
        .cycle()
        .take(length)
        .map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()]))
        .collect()
}

impl Identity {
    fn new(physical_id: String) -> Self {
        Self { physical_id, attributes: BTreeMap::new() }
    }

    fn with(mut self, attribute: &str, value: impl Into<String>) -> Self {
        self.attributes.insert(attribute.to_owned(), value.into());
        self
    }
}

impl Naming<'_, '_> {
    fn options(&self) -> &LoadOptions {
        self.scope.options
    }

    fn place(&self, property: &str) -> String {
        format!("Resources.{}.Properties.{property}", self.logical_id)
    }

    fn property(&self, property: &str) -> Result<Option<String>, TemplateError> {
        let Some(value) = self.properties.get(property) else { return Ok(None) };
        let place = self.place(property);
        match self.scope.resolve(value, &place)? {
            None => Ok(None),
            Some(resolved) => self.scope.text(&resolved, &place).map(Some),
        }
    }

    fn required(&self, property: &str) -> Result<String, TemplateError> {
        self.property(property)?.ok_or_else(|| TemplateError::new(self.place(property), "is required"))
    }

    fn id(&self, what: &str, alphabet: &[u8], length: usize) -> String {
        let LoadOptions { stack_name, region, account, .. } = self.options();
        digest(&[stack_name, region, account, self.logical_id, what], alphabet, length)
    }

    /// The name given in `property`, or one generated as CloudFormation does.
    fn name(&self, property: &str, longest: usize) -> Result<String, TemplateError> {
        if let Some(name) = self.property(property)? {
            return Ok(name);
        }
        let suffix = self.id("name", UPPER, 12);
        let mut stem = format!("{}-{}", self.options().stack_name, self.logical_id);
        stem.truncate(longest - suffix.len() - 1);
        Ok(format!("{stem}-{suffix}"))
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        let LoadOptions { region, account, .. } = self.options();
        format!("arn:aws:{service}:{region}:{account}:{resource}")
    }

    /// Kinds known by an opaque id, which is also an attribute.
    fn numbered(&self, attribute: &str) -> Result<Identity, TemplateError> {
        let id = self.id("id", LOWER, 7);
        Ok(Identity::new(id.clone()).with(attribute, id))
    }
}

type Named = Result<Identity, TemplateError>;

fn api(n: &Naming<'_, '_>) -> Named {
    let id = n.id("api", LOWER, 10);
    let scheme = if n.property("ProtocolType")?.as_deref() == Some("WEBSOCKET") { "wss" } else { "https" };
    let endpoint = format!("{scheme}://{id}.execute-api.{}.amazonaws.com", n.options().region);
    Ok(Identity::new(id.clone()).with("ApiEndpoint", endpoint).with("ApiId", id))
}

fn domain_name(n: &Naming<'_, '_>) -> Named {
    let regional =
        format!("d-{}.execute-api.{}.amazonaws.com", n.id("domain", LOWER, 10), n.options().region);
    let name = n.required("DomainName")?;
    let arn = format!("arn:aws:apigateway:{}::/domainnames/{name}", n.options().region);
    Ok(Identity::new(name)
        .with("DomainNameArn", arn)
        .with("RegionalDomainName", regional)
        .with("RegionalHostedZoneId", n.id("zone", UPPER, 14)))
}

fn graphql_api(n: &Naming<'_, '_>) -> Named {
    let id = n.id("api", LOWER, 26);
    let endpoint = n.id("endpoint", LOWER, 26);
    let region = &n.options().region;
    let dns = format!("{endpoint}.appsync-api.{region}.amazonaws.com");
    let realtime = format!("{endpoint}.appsync-realtime-api.{region}.amazonaws.com");
    let arn = n.arn("appsync", &format!("apis/{id}"));
    Ok(Identity::new(arn.clone())
        .with("ApiId", id)
        .with("Arn", arn)
        .with("GraphQLDns", dns.clone())
        .with("GraphQLUrl", format!("https://{dns}/graphql"))
        .with("GraphQLEndpointArn", n.arn("appsync", &format!("endpoints/graphql-api/{endpoint}")))
        .with("RealtimeDns", realtime.clone())
        .with("RealtimeUrl", format!("wss://{realtime}/graphql")))
}

fn graphql_schema(n: &Naming<'_, '_>) -> Named {
    let id = format!("{}GraphQLSchema", n.required("ApiId")?);
    Ok(Identity::new(id.clone()).with("Id", id))
}

fn api_key(n: &Naming<'_, '_>) -> Named {
    let id = n.id("api key id", LOWER, 10);
    let arn = n.arn("appsync", &format!("apis/{}/apikey/{id}", n.required("ApiId")?));
    Ok(Identity::new(arn.clone())
        .with("ApiKey", format!("da2-{}", n.id("api key", LOWER, 26)))
        .with("ApiKeyId", id)
        .with("Arn", arn))
}

fn data_source(n: &Naming<'_, '_>) -> Named {
    let name = n.required("Name")?;
    let arn = n.arn("appsync", &format!("apis/{}/datasources/{name}", n.required("ApiId")?));
    Ok(Identity::new(arn.clone()).with("DataSourceArn", arn).with("Name", name))
}

fn pipeline_function(n: &Naming<'_, '_>) -> Named {
    let id = n.id("function", LOWER, 26);
    let arn = n.arn("appsync", &format!("apis/{}/functions/{id}", n.required("ApiId")?));
    Ok(Identity::new(arn.clone())
        .with("FunctionArn", arn)
        .with("FunctionId", id)
        .with("DataSourceName", n.required("DataSourceName")?)
        .with("Name", n.required("Name")?))
}

fn resolver(n: &Naming<'_, '_>) -> Named {
    let (type_name, field) = (n.required("TypeName")?, n.required("FieldName")?);
    let path = format!("apis/{}/types/{type_name}/resolvers/{field}", n.required("ApiId")?);
    let arn = n.arn("appsync", &path);
    Ok(Identity::new(arn.clone())
        .with("ResolverArn", arn)
        .with("TypeName", type_name)
        .with("FieldName", field))
}

fn alarm(n: &Naming<'_, '_>) -> Named {
    let name = n.name("AlarmName", 255)?;
    let arn = n.arn("cloudwatch", &format!("alarm:{name}"));
    Ok(Identity::new(name).with("Arn", arn))
}

fn table(n: &Naming<'_, '_>) -> Named {
    let name = n.name("TableName", 255)?;
    let arn = n.arn("dynamodb", &format!("table/{name}"));
    let identity = Identity::new(name).with("Arn", arn.clone());
    // Without a StreamSpecification AWS has no such attribute either.
    Ok(match n.properties.get("StreamSpecification") {
        Some(_) => identity.with("StreamArn", format!("{arn}/stream/2025-01-01T00:00:00.000")),
        None => identity,
    })
}

fn event_bus(n: &Naming<'_, '_>) -> Named {
    let name = n.required("Name")?;
    let arn = n.arn("events", &format!("event-bus/{name}"));
    Ok(Identity::new(name.clone()).with("Arn", arn).with("Name", name))
}

fn rule(n: &Naming<'_, '_>) -> Named {
    let name = n.name("Name", 64)?;
    let bus = n.property("EventBusName")?.filter(|bus| bus != "default");
    // `EventBusName` takes a name or an ARN.
    let bus = bus.map(|bus| bus.rsplit('/').next().map(str::to_owned).unwrap_or(bus));
    let (id, path) = match bus {
        Some(bus) => (format!("{bus}|{name}"), format!("rule/{bus}/{name}")),
        None => (name.clone(), format!("rule/{name}")),
    };
    Ok(Identity::new(id).with("Arn", n.arn("events", &path)))
}

fn role(n: &Naming<'_, '_>) -> Named {
    let name = n.name("RoleName", 64)?;
    let path = n.property("Path")?.unwrap_or_else(|| "/".to_owned());
    let arn = format!("arn:aws:iam::{}:role{path}{name}", n.options().account);
    Ok(Identity::new(name).with("Arn", arn).with("RoleId", format!("AROA{}", n.id("role", UPPER, 17))))
}

fn managed_policy(n: &Naming<'_, '_>) -> Named {
    let path = n.property("Path")?.unwrap_or_else(|| "/".to_owned());
    let arn =
        format!("arn:aws:iam::{}:policy{path}{}", n.options().account, n.name("ManagedPolicyName", 128)?);
    Ok(Identity::new(arn.clone()).with("PolicyArn", arn))
}

fn log_group(n: &Naming<'_, '_>) -> Named {
    let name = n.name("LogGroupName", 512)?;
    let arn = n.arn("logs", &format!("log-group:{name}:*"));
    Ok(Identity::new(name).with("Arn", arn))
}

fn fifo(n: &Naming<'_, '_>, property: &str, flag: &str, longest: usize) -> Result<String, TemplateError> {
    let is_fifo = n.property(flag)?.as_deref() == Some("true");
    if is_fifo && n.properties.get(property).is_none() {
        return Ok(format!("{}.fifo", n.name(property, longest - 5)?));
    }
    n.name(property, longest)
}

fn topic(n: &Naming<'_, '_>) -> Named {
    let name = fifo(n, "TopicName", "FifoTopic", 256)?;
    let arn = n.arn("sns", &name);
    Ok(Identity::new(arn.clone()).with("TopicArn", arn).with("TopicName", name))
}

fn subscription(n: &Naming<'_, '_>) -> Named {
    let id = n.id("subscription", HEX, 32);
    let arn = format!("{}:{id}", n.required("TopicArn")?);
    Ok(Identity::new(arn.clone()).with("Arn", arn))
}

fn queue(n: &Naming<'_, '_>) -> Named {
    let name = fifo(n, "QueueName", "FifoQueue", 80)?;
    let LoadOptions { account, endpoints, .. } = n.options();
    let url = format!("{}/{account}/{name}", endpoints.aws.trim_end_matches('/'));
    Ok(Identity::new(url.clone())
        .with("Arn", n.arn("sqs", &name))
        .with("QueueName", name)
        .with("QueueUrl", url))
}

fn function(n: &Naming<'_, '_>) -> Named {
    let name = n.name("FunctionName", 64)?;
    let arn = n.arn("lambda", &format!("function:{name}"));
    Ok(Identity::new(name).with("Arn", arn))
}

fn web_acl(n: &Naming<'_, '_>) -> Named {
    let (name, scope) = (n.name("Name", 128)?, n.required("Scope")?);
    let place = match scope.as_str() {
        "REGIONAL" => "regional",
        "CLOUDFRONT" => "global",
        other => {
            let problem = format!("{other:?} is neither REGIONAL nor CLOUDFRONT");
            return Err(TemplateError::new(n.place("Scope"), problem));
        }
    };
    let id = n.id("id", HEX, 32);
    let arn = n.arn("wafv2", &format!("{place}/webacl/{name}/{id}"));
    Ok(Identity::new(format!("{name}|{id}|{scope}"))
        .with("Arn", arn)
        .with("Id", id)
        .with("LabelNamespace", format!("awswaf:{}:webacl:{name}:", n.options().account)))
}
