//! `demo --serve`: sandbox, gateway and made-up bots of both dialects, until a signal comes. The status page shows what they do.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};

use super::{
    demo::{self, spawn},
    listeners, logging,
    output::{Failure, block_on, print},
    stop_signals::StopSignals,
};
use crate::{
    admin::{self, LogLevel, Status},
    api,
    config::{self, Log, LogFormat, sections, shown},
    sandbox::{Odds, Sandbox, Settings},
    server::{Listener, Server},
};

/// Rules of every kind, one with a typing error in its site.
const RULES: &str = r#"[default]
action = "keep"

[[rule]]
id = "shop"
sites = ["shop.example", "tickets.example"]
action = "add"

[[rule]]
id = "login"
sites = ["accounts.example/login"]
action = "force"

[[rule]]
id = "bank"
sites = ["bank.example"]
action = "deny"

[[rule]]
id = "games"
sites = ["gmaes.example"]
action = "add"
"#;

/// The pages that the bots want, the busy ones more than once.
const PAGES: [&str; 9] = [
    "https://shop.example/cart",
    "https://shop.example/login",
    "https://shop.example/cart",
    "https://tickets.example/",
    "https://accounts.example/login",
    "https://news.example/comment",
    "https://games.example/",
    "https://bank.example/",
    "https://shop.example/cart",
];

const BOTS: usize = 8;

pub fn run() -> Result<(), Failure> {
    let level = config::LogLevel::Warn;
    let format = LogFormat::Auto;
    let (_flush, log_level) = logging::init(Log { level, format })?;
    block_on(serve(log_level))?
}

async fn serve(log_level: LogLevel) -> Result<(), Failure> {
    let mut signals = StopSignals::new()?;
    let odds = [("shop.example", 0.7), ("tickets.example", 0.5)];
    let sandbox = Sandbox::new(Settings {
        polls: 0,
        delay: Duration::from_secs(3),
        nocache_delay: Duration::from_secs(3),
        accept: odds
            .map(|(site, share)| Odds {
                site: site.to_owned(),
                share,
            })
            .into(),
        fail_every: 25,
        ban: false,
        record: false,
    });
    let sandbox = spawn(sandbox.service()).await?;
    let config = demo::config(RULES)?;
    let in_force = shown::to_json(
        Some(Path::new("the demo's own")),
        &sections::in_force(&config),
        &config.rules,
        usize::MAX,
    );
    let admin = config.admin.clone();
    let gateway = demo::gateway(&sandbox, config)?;
    let api = spawn(api::service(gateway.clone())).await?;
    let status = Status::default();
    status.change(|facts| {
        facts.generation = 1;
        facts.config = Arc::new(in_force);
        facts.api_addresses = vec![api.clone()];
    });
    let listener = admin_listener(admin.listen)?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    let service = admin::service(admin.settings, status, gateway, log_level);
    tokio::spawn(Server::new(vec![Listener::http(listener)]).run_forever(service));
    for number in 0..BOTS {
        let bot = Bot {
            client: Client::builder().no_proxy().build().map_err(Failure::failed)?,
            gateway: api.clone(),
            admin: format!("http://{address}"),
            sandbox: sandbox.clone(),
            is_legacy: number % 2 == 1,
        };
        tokio::spawn(bot.run(number));
    }
    print(&format!(
        "The status page:                http://{address}/\n\
         The gateway, for bots:          {api}\n\
         The sandbox, its upstream:      {sandbox}\n\
         {BOTS} made-up bots are at work. No account, no network. Ctrl-C ends it."
    ))?;
    signals.next().await;
    Ok(())
}

/// The usual address of the admin side, or a free port if that is taken.
fn admin_listener(usual: config::AdminListen) -> Result<TcpListener, Failure> {
    if let config::AdminListen::At(address) = usual
        && let Ok(listener) = listeners::bind(address, "")
    {
        return Ok(listener);
    }
    listeners::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "")
}

/// A made-up bot.
struct Bot {
    client: Client,
    gateway: String,
    admin: String,
    sandbox: String,
    is_legacy: bool,
}

impl Bot {
    /// Buys solutions for one page after the other.
    async fn run(self, number: usize) {
        // The bots do not go in step.
        sleep(Duration::from_millis(150 * number as u64)).await;
        let mut round = number;
        loop {
            let page = PAGES[round * 7 % PAGES.len()];
            // Some switch nocache off themselves, which the action add respects: so there is something to compare.
            let is_off = round % 5 < 2;
            // Whatever fails, the next round begins.
            let _failed = self.buy(page, is_off).await;
            sleep(Duration::from_millis(700)).await;
            round += BOTS;
        }
    }

    async fn buy(&self, page: &str, is_off: bool) -> Result<(), reqwest::Error> {
        let Some(id) = self.submit(page, is_off).await? else {
            return Ok(());
        };
        for _ in 0..30 {
            sleep(Duration::from_secs(2)).await;
            let Some(token) = self.poll(&id).await? else {
                continue;
            };
            if token.is_empty() {
                return Ok(());
            }
            let check = self.client.post(format!("{}/sandbox/check", self.sandbox));
            let checked: Value = parse(&check.body(token).send().await?.text().await?);
            return self.report(&id, checked["accepted"] == true).await;
        }
        Ok(())
    }

    /// The id of a new task; `None` if it is refused.
    async fn submit(&self, page: &str, is_off: bool) -> Result<Option<String>, reqwest::Error> {
        if self.is_legacy {
            let off = if is_off { "&nocache=0" } else { "" };
            let target = format!("in.php?key=demo-key&method=userrecaptcha&googlekey=6Lc&pageurl={page}{off}");
            let text = self.get(&target).await?;
            return Ok(text.strip_prefix("OK|").map(str::to_owned));
        }
        let mut task = json!({ "type": "RecaptchaV2Task", "websiteURL": page, "websiteKey": "6Lc" });
        if is_off {
            task["nocache"] = false.into();
        }
        let text = self
            .post("createTask", &json!({ "clientKey": "demo-key", "task": task }))
            .await?;
        let id = parse(&text)["taskId"].as_u64();
        Ok(id.filter(|id| *id > 0).map(|id| id.to_string()))
    }

    /// The token, empty if the task failed; `None` while it is not solved.
    async fn poll(&self, id: &str) -> Result<Option<String>, reqwest::Error> {
        if self.is_legacy {
            let text = self.get(&format!("res.php?key=demo-key&action=get&id={id}")).await?;
            let token = text.strip_prefix("OK|").unwrap_or_default();
            return Ok((text != "CAPCHA_NOT_READY").then(|| token.to_owned()));
        }
        let text = self
            .post("getTaskResult", &json!({ "clientKey": "demo-key", "taskId": id }))
            .await?;
        let result = parse(&text);
        Ok(match result["status"].as_str() {
            Some("processing") => None,
            _ => Some(
                result["solution"]["gRecaptchaResponse"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            ),
        })
    }

    /// Says whether the site took the token. The vendor's JSON API has no report of a good one, so that goes to the gateway alone.
    async fn report(&self, id: &str, is_good: bool) -> Result<(), reqwest::Error> {
        match (self.is_legacy, is_good) {
            (true, _) => {
                let action = if is_good { "reportgood" } else { "reportbad" };
                let target = format!("res.php?key=demo-key&action={action}&id={id}");
                self.get(&target).await.map(drop)
            }
            (false, true) => {
                let feedback = json!({ "taskId": id, "outcome": "good" });
                let request = self.client.post(format!("{}/api/feedback", self.admin));
                request.body(feedback.to_string()).send().await.map(drop)
            }
            (false, false) => {
                let body = json!({ "clientKey": "demo-key", "taskId": id });
                self.post("reportIncorrectTokenCaptcha", &body).await.map(drop)
            }
        }
    }

    async fn get(&self, target: &str) -> Result<String, reqwest::Error> {
        let request = self.client.get(format!("{}/{target}", self.gateway));
        request.send().await?.text().await
    }

    async fn post(&self, method: &str, body: &Value) -> Result<String, reqwest::Error> {
        let request = self.client.post(format!("{}/{method}", self.gateway));
        request.body(body.to_string()).send().await?.text().await
    }
}

/// JSON, or null.
fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
