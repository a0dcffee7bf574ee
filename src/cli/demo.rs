//! `demo`: shows the main job. Sandbox and gateway on free ports of this machine, one request of each kind through them,
//! and a check of what arrived.

use std::{path::Path, sync::Arc};

use clap::Args;
use reqwest::{Client, Method};
use tokio::net::TcpListener;

use super::{
    demo_serve,
    marks::{self, Style},
    output::{Failure, block_on, has_colours, print},
};
use crate::{
    api::{self, Gateway, fields},
    config::{self, Config, Reading, Source},
    observe::{Counted, Observers},
    rewrite,
    sandbox::{Received, Sandbox, Settings},
    server::{Listener, Requests, Server},
    submission::{Dialect, Part, Request, plain_shape::Sent},
    upstream::{self, Upstream},
};

/// The rules of the demo: everything else is the default.
const RULES: &str = r#"[[rule]]
id = "shop"
sites = ["shop.example"]
action = "force"
via = "key"
"#;

/// A request, and the bytes that have to reach the upstream.
struct Case {
    title: &'static str,
    target: &'static str,
    body: &'static str,
    target_after: &'static str,
    body_after: &'static str,
}

const CASES: [Case; 6] = [
    Case {
        title: "reCAPTCHA v2, createTask",
        target: "/createTask",
        body: r#"{"clientKey":"demo-key","task":{"type":"RecaptchaV2Task","websiteURL":"https://login.example/","websiteKey":"6Lc"}}"#,
        target_after: "/createTask",
        body_after: r#"{"clientKey":"demo-key","task":{"type":"RecaptchaV2Task","websiteURL":"https://login.example/","websiteKey":"6Lc","nocache":true}}"#,
    },
    Case {
        title: "reCAPTCHA v3, createTask, pretty-printed",
        target: "/createTask",
        body: "{\n  \"clientKey\": \"demo-key\",\n  \"task\": {\n    \"type\": \"RecaptchaV3TaskProxyless\",\n    \"websiteURL\": \"https://login.example/\",\n    \"minScore\": 0.3\n  }\n}",
        target_after: "/createTask",
        body_after: "{\n  \"clientKey\": \"demo-key\",\n  \"task\": {\n    \"type\": \"RecaptchaV3TaskProxyless\",\n    \"websiteURL\": \"https://login.example/\",\n    \"minScore\": 0.3,\"nocache\":true\n  }\n}",
    },
    Case {
        title: "legacy API, GET",
        target: "/in.php?key=demo-key&method=userrecaptcha&googlekey=6Lc&pageurl=https://login.example/?level=high",
        body: "",
        target_after: "/in.php?key=demo-key&method=userrecaptcha&googlekey=6Lc&pageurl=https://login.example/?level=high&nocache=1",
        body_after: "",
    },
    Case {
        title: "legacy API, form",
        target: "/in.php",
        body: "key=demo-key&method=userrecaptcha&googlekey=6Lc&pageurl=https%3A%2F%2Flogin.example%2F",
        target_after: "/in.php",
        body_after: "key=demo-key&method=userrecaptcha&googlekey=6Lc&pageurl=https%3A%2F%2Flogin.example%2F&nocache=1",
    },
    Case {
        title: "an image task stays as it is",
        target: "/createTask",
        body: r#"{"clientKey":"demo-key","task":{"type":"ImageToTextTask","body":"iVBORw0KGgo="}}"#,
        target_after: "/createTask",
        body_after: r#"{"clientKey":"demo-key","task":{"type":"ImageToTextTask","body":"iVBORw0KGgo="}}"#,
    },
    Case {
        title: "a site with a rule of its own: action \"force\", via the key",
        target: "/createTask",
        body: r#"{"clientKey":"demo-key","task":{"type":"RecaptchaV2Task","websiteURL":"https://shop.example/cart","websiteKey":"6Lc"}}"#,
        target_after: "/createTask",
        body_after: r#"{"clientKey":"demo-key__nocache","task":{"type":"RecaptchaV2Task","websiteURL":"https://shop.example/cart","websiteKey":"6Lc"}}"#,
    },
];

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep sandbox, gateway and made-up bots running, to look at the status page
    #[arg(long)]
    serve: bool,
}

pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    match args.serve {
        true => demo_serve::run(),
        false => block_on(demo())?,
    }
}

async fn demo() -> Result<(), Failure> {
    let style = Style {
        colours: has_colours(&std::io::stdout()),
    };
    let sandbox = Sandbox::new(Settings {
        record: true,
        ..Settings::default()
    });
    let upstream = spawn(sandbox.service()).await?;
    let gateway = spawn(api::service(gateway(&upstream, rules()?)?)).await?;
    print(&format!(
        "A sandbox of the API is at {upstream}, the gateway in front of it at {gateway}.\n\
         Each request below is shown as a bot sent it, with the bytes that the gateway inserted {}.",
        style.added("marked")
    ))?;

    let client = Client::builder().no_proxy().build().map_err(Failure::failed)?;
    let mut wrong = 0;
    let mut first_response = String::new();
    for case in &CASES {
        let method = if case.body.is_empty() {
            Method::GET
        } else {
            Method::POST
        };
        let request = client
            .request(method, format!("{gateway}{}", case.target))
            .body(case.body);
        let response = request.send().await.map_err(Failure::failed)?;
        let decision = response.headers().get(fields::DECISION).cloned();
        let body = response.text().await.map_err(Failure::failed)?;
        let arrived = sandbox.received().pop();
        let is_right = arrived.as_ref().is_some_and(|arrived| case.is_right(arrived));
        wrong += usize::from(!is_right);
        print(&format!("\n{}\n{}", style.bold(case.title), case.marked(style)?))?;
        let decision = decision
            .as_ref()
            .and_then(|decision| decision.to_str().ok())
            .unwrap_or("-");
        print(&style.dim(&format!("  x-nocache-gateway: {decision}")))?;
        print(&style.dim(&format!("  response: {body}")))?;
        print(match is_right {
            true => "  ✓ the sandbox received exactly this",
            false => "  ✗ the sandbox received something else",
        })?;
        if first_response.is_empty() {
            first_response = body;
        }
    }
    let token = follow(&client, &gateway, &first_response).await?;
    print(&format!(
        "\n{}\n  {token}",
        style.bold("The first task, polled through the gateway until its token came")
    ))?;
    wrong += usize::from(!token.ends_with("nocache-parameter"));
    if wrong > 0 {
        return Err(Failure::Failed(format!(
            "{wrong} of the above failed: please report this"
        )));
    }
    print(
        "\nAll as it should be. To run it for real, start nocache-gateway and point your bot at http://127.0.0.1:6622",
    )
}

impl Case {
    fn is_right(&self, arrived: &Received) -> bool {
        arrived.target == self.target_after && arrived.body == self.body_after
    }

    /// The request with its edits marked, as the core plans them.
    fn marked(&self, style: Style) -> Result<String, Failure> {
        let config = rules()?;
        let request = Request {
            target: self.target,
            content_type: None,
            body: self.body.as_bytes(),
        };
        let dialect = if self.target.starts_with("/in.php") {
            Dialect::Legacy
        } else {
            Dialect::CreateTask
        };
        let sent = Sent::usual(dialect, self.body.as_bytes());
        let plan = rewrite::plan(&rewrite::read(dialect, request, &sent, &config.rules), &config.rules);
        let target = marks::after(&request, Part::Target, &plan.edits, &[], style);
        let body = marks::after(&request, Part::Body, &plan.edits, &[], style);
        let indented: Vec<String> = body.lines().map(|line| format!("\n  {line}")).collect();
        let method = if self.body.is_empty() { "GET" } else { "POST" };
        Ok(format!("  {method} {target}{}", indented.concat()))
    }
}

fn rules() -> Result<Config, Failure> {
    config(RULES)
}

/// A configuration with the defaults and these rules.
pub fn config(rules: &str) -> Result<Config, Failure> {
    config::read(Source::new("demo", rules), Path::new(""), Reading::First).map_err(Failure::failed)
}

/// A gateway in front of an upstream.
pub fn gateway(upstream: &str, config: Config) -> Result<Arc<Gateway>, Failure> {
    let settings = upstream::Settings {
        url: upstream.parse().map_err(Failure::failed)?,
        ..upstream::Settings::default()
    };
    let upstream = Upstream::new(settings, &[]).map_err(Failure::failed)?;
    let observers = Observers::new(&config.ledger, Counted::default());
    Ok(Arc::new(Gateway::new(
        config.server.api,
        config.rules,
        upstream,
        observers,
    )))
}

/// Serves on a free port until the process ends. Returns the URL.
pub async fn spawn(service: impl Requests) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Failure::failed)?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    tokio::spawn(Server::new(vec![Listener::http(listener)]).run_forever(service));
    Ok(format!("http://{address}"))
}

/// Polls for the solution of the task that a response names.
async fn follow(client: &Client, gateway: &str, response: &str) -> Result<String, Failure> {
    let created: serde_json::Value = serde_json::from_str(response).map_err(Failure::failed)?;
    let question = serde_json::json!({ "clientKey": "demo-key", "taskId": created["taskId"] }).to_string();
    for _ in 0..10 {
        let request = client.post(format!("{gateway}/getTaskResult")).body(question.clone());
        let text = request
            .send()
            .await
            .map_err(Failure::failed)?
            .text()
            .await
            .map_err(Failure::failed)?;
        let result: serde_json::Value = serde_json::from_str(&text).map_err(Failure::failed)?;
        if let Some(token) = result["solution"]["gRecaptchaResponse"].as_str() {
            return Ok(token.to_owned());
        }
    }
    Err(Failure::failed("no token came"))
}
