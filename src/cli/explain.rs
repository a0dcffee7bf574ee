//! `explain`: what the rules do to a request, by the code that serves, without sending anything.

use std::{fs, io::Read, path::PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Failure, has_colours, load, print,
    show::{self, Style},
};
use crate::{
    config::{Config, Overrides},
    rewrite::{self, Plan, Reason},
    rules::Rule,
    submission::{self, Captcha, Dialect, Kind, Part, Request, Site, Submission, Unread},
};

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A file with a createTask body, "-" for stdin, or a legacy URL such as 'http://…/in.php?key=…'
    #[arg(required_unless_present = "site", conflicts_with = "site")]
    request: Option<String>,
    /// A target site, in the place of a whole request
    #[arg(long, value_name = "URL")]
    site: Option<String>,
    /// With --site: the captcha, a kind or a JSON type name
    #[arg(long, value_name = "NAME", default_value = "recaptcha-v2", requires = "site")]
    captcha: String,
    /// One JSON object, for machines
    #[arg(long)]
    json: bool,
    /// Show keys, proxy passwords and cookies as they are
    #[arg(long)]
    show_secrets: bool,
}

pub fn run(overrides: &Overrides, args: &ExplainArgs) -> Result<(), Failure> {
    let config = load(overrides)?;
    let input = input(args)?;
    let request = input.request();
    let reading = submission::read(input.dialect, request, config.rules.names());
    let plan = rewrite::plan(&reading, &config.rules);
    let explanation = Explanation {
        config: &config,
        request,
        reading: &reading,
        plan: &plan,
        shows_secrets: args.show_secrets,
        shows_bytes: args.site.is_none(),
    };
    if args.json {
        return print(&explanation.json().to_string());
    }
    let style = Style {
        colours: has_colours(&std::io::stdout()),
    };
    print(&explanation.text(style))
}

/// What is explained, as the gateway would get it.
struct Input {
    dialect: Dialect,
    target: String,
    body: Vec<u8>,
}

impl Input {
    fn request(&self) -> Request<'_> {
        Request {
            target: &self.target,
            content_type: None,
            body: &self.body,
        }
    }
}

fn input(args: &ExplainArgs) -> Result<Input, Failure> {
    let create_task = |body| Input {
        dialect: Dialect::CreateTask,
        target: "/createTask".to_owned(),
        body,
    };
    let Some(request) = &args.request else {
        let site = args.site.as_deref().unwrap_or_default();
        return Ok(create_task(site_body(site, &args.captcha)?));
    };
    if request == "-" {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body).map_err(Failure::failed)?;
        return Ok(create_task(body));
    }
    if let Some((_, rest)) = request.split_once("://") {
        let target = rest.find('/').map_or("/", |slash| &rest[slash..]);
        let target = target.split('#').next().unwrap_or(target);
        return Ok(Input {
            dialect: Dialect::Legacy,
            target: target.to_owned(),
            body: Vec::new(),
        });
    }
    let path = PathBuf::from(request);
    fs::read(&path)
        .map(create_task)
        .map_err(|error| Failure::Wrong(format!("error: {} cannot be read: {error}", path.display())))
}

/// A createTask body for a bare site.
fn site_body(site: &str, captcha: &str) -> Result<Vec<u8>, Failure> {
    let kind = match captcha.parse() {
        Ok(Kind::RecaptchaV2) => "RecaptchaV2Task",
        Ok(Kind::RecaptchaV2Enterprise) => "RecaptchaV2EnterpriseTask",
        Ok(Kind::RecaptchaV3) => "RecaptchaV3Task",
        Ok(Kind::RecaptchaV3Enterprise) => "RecaptchaV3EnterpriseTask",
        Err(()) if captcha.bytes().all(|byte| byte.is_ascii_alphanumeric()) => captcha,
        Err(()) => {
            let kinds = Kind::ALL.map(Kind::name).join(", ");
            return Err(Failure::Wrong(format!(
                "error: --captcha takes {kinds}, or a JSON type name, not \"{captcha}\""
            )));
        }
    };
    Ok(json!({ "task": { "type": kind, "websiteURL": site } })
        .to_string()
        .into_bytes())
}

/// Everything there is to say about one request.
struct Explanation<'e> {
    config: &'e Config,
    request: Request<'e>,
    reading: &'e Result<Submission<'e>, Unread>,
    plan: &'e Plan<'e>,
    shows_secrets: bool,
    shows_bytes: bool,
}

impl Explanation<'_> {
    fn captcha(&self) -> Option<&Captcha> {
        self.reading.as_ref().ok()?.captcha.as_ref()
    }

    fn site(&self) -> Option<&Site> {
        self.reading.as_ref().ok()?.site.as_ref().ok()
    }

    /// The part that is shown: the one that holds the request's parameters.
    fn part(&self) -> Part {
        if self.request.body.is_empty() {
            Part::Target
        } else {
            Part::Body
        }
    }

    fn before_and_after(&self, style: Style) -> (String, String) {
        let part = self.part();
        let masked = match self.reading {
            Ok(submission) if !self.shows_secrets => show::secrets(submission, part),
            _ => Vec::new(),
        };
        let before = show::before(&self.request, part, &masked);
        (
            before,
            show::after(&self.request, part, &self.plan.edits, &masked, style),
        )
    }

    /// Where a rule stands.
    fn place(&self, rule: &Rule) -> String {
        match (&self.config.file, rule.line) {
            (Some(file), Some(line)) => format!("{}:{line}", file.display()),
            _ => "built in".to_owned(),
        }
    }

    fn text(&self, style: Style) -> String {
        let mut lines = Vec::new();
        let mut line = |name: &str, text: String| lines.push(format!("{} {text}", style.bold(&format!("{name:<9}"))));
        match self.reading {
            Err(unread) => line("unread", unread.to_string()),
            Ok(submission) => {
                line(
                    "captcha",
                    self.captcha().map_or("none is named".to_owned(), Captcha::to_string),
                );
                line(
                    "site",
                    match &submission.site {
                        Ok(site) => site.to_string(),
                        Err(error) => error.to_string(),
                    },
                );
            }
        }
        let outcome = &self.plan.outcome;
        if let Some(rule) = outcome.rule {
            line("rule", format!("{} ({})", rule.id, self.place(rule)));
        }
        line("decision", outcome.to_string());
        if let Some(reason) = outcome.reason {
            line("", style.dim(in_words(reason)));
        }
        if self.shows_bytes {
            let (before, after) = self.before_and_after(style);
            line("before", before);
            if self.plan.edits.is_empty() {
                line("after", "the same bytes".to_owned());
            } else {
                line("after", after);
            }
        }
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let outcome = &self.plan.outcome;
        let mut value = json!({
            "captcha": self.captcha().map(Captcha::to_string),
            "site": self.site().map(Site::to_string),
            "decision": outcome.token.name(),
            "action": outcome.action().map(|action| action.to_string()),
            "via": outcome.via.map(|via| via.to_string()),
            "rule": outcome.rule.map(|rule| &rule.id),
            "place": outcome.rule.map(|rule| self.place(rule)),
            "reason": outcome.reason.map(Reason::name),
        });
        if self.shows_bytes {
            let edits = self.plan.edits.iter().map(|edit| {
                json!({
                    "part": match edit.part {
                        Part::Target => "target",
                        Part::Body => "body",
                    },
                    "at": edit.at,
                    "old": String::from_utf8_lossy(&edit.old),
                    "new": String::from_utf8_lossy(&edit.new),
                })
            });
            value["edits"] = Value::Array(edits.collect());
            value["before"] = Value::from(self.before_and_after(Style { colours: false }).0);
        }
        value
    }
}

/// A reason for people.
fn in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::ActionKeep => "the rule says: as sent",
        Reason::AlreadyOn => "the request has nocache on already",
        Reason::AlreadyOff => "there is nothing to turn off",
        Reason::ClientSaidOff => "the client itself turned nocache off, and \"add\" respects that (\"force\" does not)",
        Reason::CaptchaNotCovered => "no rule for this site, nor the default, lists this captcha",
        Reason::NoSite => "there is no websiteURL or pageurl to match rules with",
        Reason::BadSite => "websiteURL or pageurl is no http or https URL",
        Reason::NoTask => "there is no task object",
        Reason::Unreadable => "it cannot be read without doubt",
        Reason::Ambiguous => "what decides stands there twice",
        Reason::EncodingUnknown => "its content coding is not decoded here",
        Reason::ActionDeny => "the rule says: not forwarded",
    }
}
