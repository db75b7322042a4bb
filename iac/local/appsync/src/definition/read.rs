//! From a template's resources to [`ApiDefinition`]s.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use local_template::{Resource, Stack, TemplateError};

use super::properties as p;
use super::{ApiDefinition, ApiKey, Authorizer, DataSource, Resolver, Step, problem};
use crate::auth::AuthMode;
use crate::javascript::Script;
use crate::schema::ApiSchema;

/// AppSync's own ceilings, in force when the template sets none.
const MAX_QUERY_DEPTH: usize = 75;
const MAX_RESOLVERS: usize = 10_000;
const MAX_BATCH: usize = 2_000;
const DEFAULT_AUTHORIZER_TTL: u32 = 300;
const MAX_AUTHORIZER_TTL: u32 = 3_600;
const API_KEY_DAYS: i64 = 7;

impl ApiDefinition {
    /// Every `AWS::AppSync::GraphQLApi` of `stack` with what belongs to it. Relative paths of schema and code are
    /// taken from `root`, the template's folder.
    ///
    /// # Errors
    /// Names the resource and property that is unknown, missing, or inconsistent with the schema.
    pub fn from_stack(stack: &Stack, root: &Path) -> Result<Vec<Self>, TemplateError> {
        let reader = Reader { stack, root, scripts: RefCell::default() };
        stack
            .of_kind::<p::GraphqlApi>("AWS::AppSync::GraphQLApi")?
            .into_iter()
            .map(|(resource, properties)| reader.api(resource, properties))
            .collect()
    }
}

struct Reader<'a> {
    stack: &'a Stack,
    root: &'a Path,
    /// By text: resolvers that share a file share its engines.
    scripts: RefCell<HashMap<String, Arc<Script>>>,
}

impl Reader<'_> {
    fn api(&self, resource: &Resource, api: p::GraphqlApi) -> Result<ApiDefinition, TemplateError> {
        let api_id = attribute(resource, "ApiId")?;
        let arn = attribute(resource, "Arn")?;
        let arn_parts: Vec<&str> = arn.split(':').collect();
        let &[_, _, _, region, account, _] = arn_parts.as_slice() else {
            return Err(problem(
                format!("Resources.{}", resource.logical_id),
                format!("{arn} is not an ARN"),
            ));
        };
        let modes = Modes::read(resource, &api)?;
        let sources = self.data_sources(&api_id)?;
        let functions = self.functions(&api_id, &sources)?;
        let resolvers = self.resolvers(&api_id, &sources, &functions)?;
        let by_field =
            resolvers.iter().enumerate().map(|(index, read)| (read.field.clone(), index)).collect();
        let (schema_place, schema_text) = self.schema(resource, &api_id)?;
        let schema = ApiSchema::parse(&schema_text, &by_field, modes.default)
            .map_err(|cause| problem(&schema_place, cause))?;
        for read in &resolvers {
            let (type_name, field_name) = &read.field;
            if !schema.has_object(type_name) {
                return Err(problem(
                    format!("{}.TypeName", read.place),
                    format!("the schema has no type {type_name}"),
                ));
            }
            if schema.field(type_name, field_name).is_none() {
                return Err(problem(
                    format!("{}.FieldName", read.place),
                    format!("type {type_name} has no field {field_name}"),
                ));
            }
        }
        Ok(ApiDefinition {
            logical_id: resource.logical_id.clone(),
            name: api.name,
            account_id: account.to_owned(),
            region: region.to_owned(),
            default_mode: modes.default,
            additional_modes: modes.additional,
            authorizer: modes.authorizer,
            api_keys: self.api_keys(&api_id)?,
            schema: Arc::new(schema),
            resolvers: resolvers.into_iter().map(|read| read.resolver).collect(),
            introspection: api.introspection_config != Some(p::Switch::Disabled),
            depth_limit: limit(api.query_depth_limit, MAX_QUERY_DEPTH),
            resolver_limit: limit(api.resolver_count_limit, MAX_RESOLVERS),
            environment: api.environment_variables,
            api_id,
            arn,
        })
    }

    fn schema(&self, api: &Resource, api_id: &str) -> Result<(String, String), TemplateError> {
        for (resource, schema) in self.stack.of_kind::<p::GraphqlSchema>("AWS::AppSync::GraphQLSchema")? {
            if schema.api_id != api_id {
                continue;
            }
            let place = place(resource);
            return match (schema.definition, schema.definition_s3_location) {
                (Some(text), None) => Ok((format!("{place}.Definition"), text)),
                (None, Some(path)) => {
                    let place = format!("{place}.DefinitionS3Location");
                    let text = self.read(&place, &path)?;
                    Ok((place, text))
                }
                _ => Err(problem(place, "needs one of Definition and DefinitionS3Location")),
            };
        }
        Err(problem(format!("Resources.{}", api.logical_id), "no AWS::AppSync::GraphQLSchema names this API"))
    }

    fn api_keys(&self, api_id: &str) -> Result<Vec<ApiKey>, TemplateError> {
        let now = chrono::Utc::now().timestamp();
        let mut keys = Vec::new();
        for (resource, key) in self.stack.of_kind::<p::ApiKey>("AWS::AppSync::ApiKey")? {
            if key.api_id == api_id {
                let expires = key.expires.map_or(now + API_KEY_DAYS * 86_400, |expires| {
                    i64::try_from(expires).unwrap_or(i64::MAX)
                });
                keys.push(ApiKey { key: attribute(resource, "ApiKey")?, expires });
            }
        }
        Ok(keys)
    }

    fn data_sources(&self, api_id: &str) -> Result<BTreeMap<String, DataSource>, TemplateError> {
        let mut sources = BTreeMap::new();
        for (resource, source) in self.stack.of_kind::<p::DataSource>("AWS::AppSync::DataSource")? {
            if source.api_id != api_id {
                continue;
            }
            let read = match (source.kind.as_str(), source.lambda_config) {
                ("NONE", None) => DataSource::None,
                ("AWS_LAMBDA", Some(config)) => DataSource::Lambda(config.lambda_function_arn.into()),
                ("AWS_LAMBDA", None) => {
                    return Err(problem(format!("{}.LambdaConfig", place(resource)), "is missing"));
                }
                (kind, _) => {
                    return Err(problem(
                        format!("{}.Type", place(resource)),
                        format!("{kind} is not supported here"),
                    ));
                }
            };
            sources.insert(source.name, read);
        }
        Ok(sources)
    }

    fn functions(
        &self,
        api_id: &str,
        sources: &BTreeMap<String, DataSource>,
    ) -> Result<HashMap<String, Step>, TemplateError> {
        let mut functions = HashMap::new();
        for (resource, function) in
            self.stack.of_kind::<p::FunctionConfiguration>("AWS::AppSync::FunctionConfiguration")?
        {
            if function.api_id != api_id {
                continue;
            }
            let place = place(resource);
            let code = self.code(&place, function.runtime, function.code, function.code_s3_location)?;
            let step = step(&place, sources, &function.data_source_name, code, function.max_batch_size)?;
            functions.insert(attribute(resource, "FunctionId")?, step);
        }
        Ok(functions)
    }

    fn resolvers(
        &self,
        api_id: &str,
        sources: &BTreeMap<String, DataSource>,
        functions: &HashMap<String, Step>,
    ) -> Result<Vec<ReadResolver>, TemplateError> {
        let mut resolvers: Vec<ReadResolver> = Vec::new();
        for (resource, resolver) in self.stack.of_kind::<p::Resolver>("AWS::AppSync::Resolver")? {
            if resolver.api_id != api_id {
                continue;
            }
            let place = place(resource);
            let code = self.code(&place, resolver.runtime, resolver.code, resolver.code_s3_location)?;
            let kind = resolver.kind.unwrap_or(p::ResolverKind::Unit);
            let read = match (kind, resolver.data_source_name, resolver.pipeline_config) {
                (p::ResolverKind::Unit, Some(source), None) => {
                    Resolver::Unit(step(&place, sources, &source, code, resolver.max_batch_size)?)
                }
                (p::ResolverKind::Pipeline, None, Some(pipeline)) => {
                    let steps = pipeline.functions.iter().map(|id| {
                        functions.get(id).cloned().ok_or_else(|| {
                            problem(format!("{place}.PipelineConfig.Functions"), format!("no function {id}"))
                        })
                    });
                    Resolver::Pipeline { code, steps: steps.collect::<Result<_, _>>()? }
                }
                (p::ResolverKind::Unit, ..) => {
                    return Err(problem(
                        format!("{place}.DataSourceName"),
                        "a UNIT resolver has this and no PipelineConfig",
                    ));
                }
                (p::ResolverKind::Pipeline, ..) => {
                    return Err(problem(
                        format!("{place}.PipelineConfig"),
                        "a PIPELINE resolver has this and no DataSourceName",
                    ));
                }
            };
            let field = (resolver.type_name, resolver.field_name);
            if resolvers.iter().any(|other| other.field == field) {
                return Err(problem(
                    format!("{place}.FieldName"),
                    format!("{}.{} has two resolvers", field.0, field.1),
                ));
            }
            resolvers.push(ReadResolver { place, field, resolver: read });
        }
        Ok(resolvers)
    }

    fn code(
        &self,
        place: &str,
        runtime: Option<p::Runtime>,
        inline: Option<String>,
        location: Option<String>,
    ) -> Result<Option<Arc<Script>>, TemplateError> {
        let (place, text) = match (inline, location) {
            (None, None) => return Ok(None),
            (Some(text), None) => (format!("{place}.Code"), text),
            (None, Some(path)) => {
                let place = format!("{place}.CodeS3Location");
                let text = self.read(&place, &path)?;
                (place, text)
            }
            (Some(_), Some(_)) => return Err(problem(place, "has both Code and CodeS3Location")),
        };
        match runtime {
            Some(runtime) if runtime.name == "APPSYNC_JS" => self.script(place, text).map(Some),
            Some(runtime) => Err(problem(place, format!("runtime {} is not APPSYNC_JS", runtime.name))),
            None => Err(problem(place, "code needs Runtime")),
        }
    }

    fn script(&self, place: String, text: String) -> Result<Arc<Script>, TemplateError> {
        if let Some(script) = self.scripts.borrow().get(&text) {
            return Ok(Arc::clone(script));
        }
        let script = Script::new(place.clone(), text.clone()).map_err(|fault| problem(place, fault))?;
        let script = Arc::new(script);
        self.scripts.borrow_mut().insert(text, Arc::clone(&script));
        Ok(script)
    }

    fn read(&self, place: &str, path: &str) -> Result<String, TemplateError> {
        std::fs::read_to_string(self.root.join(path))
            .map_err(|error| problem(place, format!("{path}: {error}")))
    }
}

struct ReadResolver {
    place: String,
    field: (String, String),
    resolver: Resolver,
}

fn step(
    place: &str,
    sources: &BTreeMap<String, DataSource>,
    source: &str,
    code: Option<Arc<Script>>,
    max_batch: Option<u32>,
) -> Result<Step, TemplateError> {
    let Some(data_source) = sources.get(source) else {
        return Err(problem(
            format!("{place}.DataSourceName"),
            format!("this API has no data source {source}"),
        ));
    };
    if code.is_none() && matches!(data_source, DataSource::None) {
        return Err(problem(format!("{place}.Code"), "a NONE data source needs code"));
    }
    let max_batch = max_batch.unwrap_or(0) as usize;
    if max_batch > MAX_BATCH {
        return Err(problem(format!("{place}.MaxBatchSize"), format!("{max_batch} is over {MAX_BATCH}")));
    }
    Ok(Step { data_source: data_source.clone(), code, max_batch })
}

struct Modes {
    default: AuthMode,
    additional: Vec<AuthMode>,
    authorizer: Option<Authorizer>,
}

impl Modes {
    fn read(resource: &Resource, api: &p::GraphqlApi) -> Result<Self, TemplateError> {
        let place = place(resource);
        let mut authorizer = None;
        let mut read = |place: String, kind: &str, config: Option<&p::LambdaAuthorizerConfig>| {
            let mode = AuthMode::named(kind).ok_or_else(|| {
                problem(format!("{place}.AuthenticationType"), format!("{kind} is not supported here"))
            })?;
            match (mode, config) {
                (AuthMode::Lambda, Some(config)) => authorizer = Some(read_authorizer(&place, config)?),
                (AuthMode::Lambda, None) => {
                    return Err(problem(format!("{place}.LambdaAuthorizerConfig"), "is missing"));
                }
                (_, None) => {}
                (_, Some(_)) => {
                    return Err(problem(
                        format!("{place}.LambdaAuthorizerConfig"),
                        "only AWS_LAMBDA has one",
                    ));
                }
            }
            Ok(mode)
        };
        let default = read(place.clone(), &api.authentication_type, api.lambda_authorizer_config.as_ref())?;
        let mut additional = Vec::new();
        for (index, provider) in api.additional_authentication_providers.iter().enumerate() {
            let place = format!("{place}.AdditionalAuthenticationProviders.{index}");
            let mode = read(
                place.clone(),
                &provider.authentication_type,
                provider.lambda_authorizer_config.as_ref(),
            )?;
            if mode == default || additional.contains(&mode) {
                return Err(problem(place, "the same AuthenticationType twice"));
            }
            additional.push(mode);
        }
        Ok(Self { default, additional, authorizer })
    }
}

fn read_authorizer(place: &str, config: &p::LambdaAuthorizerConfig) -> Result<Authorizer, TemplateError> {
    let place = format!("{place}.LambdaAuthorizerConfig");
    let ttl = config.authorizer_result_ttl_in_seconds.unwrap_or(DEFAULT_AUTHORIZER_TTL);
    if ttl > MAX_AUTHORIZER_TTL {
        return Err(problem(
            format!("{place}.AuthorizerResultTtlInSeconds"),
            format!("{ttl} is over {MAX_AUTHORIZER_TTL}"),
        ));
    }
    // AppSync matches the whole token, as Java's `matches` does.
    let token_pattern = config
        .identity_validation_expression
        .as_deref()
        .map(|pattern| regex::Regex::new(&format!("^(?:{pattern})$")))
        .transpose()
        .map_err(|error| problem(format!("{place}.IdentityValidationExpression"), error.to_string()))?;
    Ok(Authorizer { function: config.authorizer_uri.clone(), ttl, token_pattern })
}

fn place(resource: &Resource) -> String {
    format!("Resources.{}.Properties", resource.logical_id)
}

fn attribute(resource: &Resource, name: &str) -> Result<String, TemplateError> {
    resource.attributes.get(name).cloned().ok_or_else(|| {
        problem(format!("Resources.{}", resource.logical_id), format!("has no attribute {name}"))
    })
}

/// 0 in a template stands for the service's own ceiling.
fn limit(set: Option<u32>, ceiling: usize) -> usize {
    match set {
        None | Some(0) => ceiling,
        Some(limit) => (limit as usize).min(ceiling),
    }
}
