//! A WebSocket API served on a port of its own.

use std::sync::Arc;

use apigateway::websocket::{Api, ApiDefinition, Options, serve};
use local_template::Stack;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;

use super::{Functions, function, stack};

pub(crate) type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// `route` is its resource's name, key, function, and whether it answers.
fn route(name: &str, key: &str, two_way: bool) -> String {
    let selection = if two_way { "\n      RouteResponseSelectionExpression: $default" } else { "" };
    let response = if two_way {
        format!(
            "  {name}Response:\n    Type: AWS::ApiGatewayV2::RouteResponse\n    Properties:\n      ApiId: !Ref Api\n      \
             RouteId: !Ref {name}Route\n      RouteResponseKey: $default\n"
        )
    } else {
        String::new()
    };
    let timeout = if name == "Message" { "\n      TimeoutInMillis: 1000" } else { "" };
    format!(
        "  {name}Route:\n    Type: AWS::ApiGatewayV2::Route\n    Properties:\n      ApiId: !Ref Api\n      \
         RouteKey: {key}\n      Target: !Sub integrations/${{{name}Integration}}{selection}\n{response}  \
         {name}Integration:\n    Type: AWS::ApiGatewayV2::Integration\n    Properties:\n      ApiId: !Ref Api\n      \
         IntegrationType: AWS_PROXY{timeout}\n      IntegrationUri: !Sub \
         arn:aws:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/${{{name}.Arn}}/invocations\n{}",
        function(name, "")
    )
}

pub(crate) fn resources() -> String {
    let api = "  Api:\n    Type: AWS::ApiGatewayV2::Api\n    Properties:\n      Name: test\n      ProtocolType: WEBSOCKET\n      \
               RouteSelectionExpression: $request.body.[2]\n  Stage:\n    Type: AWS::ApiGatewayV2::Stage\n    Properties:\n      \
               ApiId: !Ref Api\n      StageName: prod\n";
    let routes = [
        route("Connect", "$connect", false),
        route("Message", "$default", true),
        route("Silent", "Silent", false),
        route("Disconnect", "$disconnect", false),
    ];
    format!("{api}{}", routes.concat())
}

/// [`resources`] and, at the stage `live`, an API of the same routes whose messages name theirs in `event`.
pub(crate) fn two_apis() -> String {
    let one = format!("\n{}", resources());
    let other = ["Api", "Stage", "Connect", "Message", "Silent", "Disconnect"].into_iter().fold(
        one.clone(),
        |text, name| {
            text.replace(&format!("\n  {name}"), &format!("\n  Live{name}"))
                .replace(&format!("!Ref {name}"), &format!("!Ref Live{name}"))
                .replace(&format!("${{{name}"), &format!("${{Live{name}"))
                .replace(&format!("lambda/{name}/"), &format!("lambda/Live{name}/"))
                .replace(&format!("FunctionName: {name}"), &format!("FunctionName: Live{name}"))
        },
    );
    one + &other
        .replace("StageName: prod", "StageName: live")
        .replace("$request.body.[2]", "$request.body.event")
}

pub(crate) fn definition_of(stack: &Stack) -> ApiDefinition {
    let [definition] = ApiDefinition::from_stack(stack).unwrap().try_into().unwrap();
    definition
}

pub(crate) struct Door {
    pub(crate) api: Api,
    pub(crate) address: String,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: tokio::task::JoinHandle<()>,
}

pub(crate) async fn open(functions: Arc<Functions>, options: Options) -> Door {
    open_all(vec![Api::new(definition_of(&stack(&resources())), functions, options)]).await
}

/// The door's `api` is the first.
pub(crate) async fn open_all(apis: Vec<Api>) -> Door {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shutdown = CancellationToken::new();
    let (api, token) = (apis[0].clone(), shutdown.clone());
    let served = tokio::spawn(async move { serve(&apis, listener, token).await.unwrap() });
    Door { api, address, shutdown, served }
}

impl Door {
    pub(crate) async fn dial(
        &self,
        path: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<(Client, Response<Option<Vec<u8>>>), Error> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        tokio_tungstenite::connect_async(request).await
    }

    pub(crate) async fn connect(&self) -> Client {
        self.dial("/prod", &[]).await.unwrap().0
    }

    /// What a refused client is told.
    pub(crate) async fn refusal(
        &self,
        path: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Response<Option<Vec<u8>>> {
        match self.dial(path, headers).await {
            Err(Error::Http(response)) => *response,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(crate) fn management(&self) -> aws_sdk_apigatewaymanagement::Client {
        self.management_of("prod")
    }

    pub(crate) fn management_of(&self, stage: &str) -> aws_sdk_apigatewaymanagement::Client {
        use aws_sdk_apigatewaymanagement::config::{
            BehaviorVersion, Config, Credentials, Region, retry::RetryConfig,
        };
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(format!("http://{}/{stage}", self.address))
            .build();
        aws_sdk_apigatewaymanagement::Client::from_conf(config)
    }
}

pub(crate) fn close_code(message: Option<Result<Message, Error>>) -> (u16, String) {
    match message {
        Some(Ok(Message::Close(Some(frame)))) => (frame.code.into(), frame.reason.to_string()),
        other => panic!("no close: {other:?}"),
    }
}
