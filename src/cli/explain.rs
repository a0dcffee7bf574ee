//! `explain`: what the rules do to a request, by the code that serves, without sending anything.

use std::{fs, io::Read, path::PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Failure,
    check::place,
    has_colours, load, print,
    show::{self, Style},
};
use crate::{
    config::{Config, Overrides, report::closest},
    rewrite::{self, Plan, Reason},
    rules::{CaptchaPattern, NearMiss, Why},
    submission::{self, Captcha, Dialect, Kind, Part, Request, Site, Submission, Unread, captcha},
};

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A file with a createTask body, "-" for stdin, or a legacy URL such as 'http://…/in.php?key=…'
    #[arg(required_unless_present_any = ["site", "batch"], conflicts_with_all = ["site", "batch"])]
    pub request: Option<String>,
    /// A target site, in the place of a whole request
    #[arg(long, value_name = "URL", conflicts_with = "batch")]
    pub site: Option<String>,
    /// A file with a target site a line, or "-" for stdin: one line of CSV for each
    #[arg(long, value_name = "FILE")]
    pub batch: Option<String>,
    /// With --site and --batch: the captcha, a kind or a JSON type name
    #[arg(long, value_name = "NAME", default_value = "recaptcha-v2")]
    pub captcha: String,
    /// With --site and --batch: another configuration; shows only the sites that it decides otherwise
    #[arg(long, value_name = "FILE", conflicts_with = "request")]
    pub against: Option<PathBuf>,
    /// One JSON object (with --batch one a line), for machines
    #[arg(long)]
    pub json: bool,
    /// Show keys, proxy passwords and cookies as they are
    #[arg(long)]
    pub show_secrets: bool,
}

impl ExplainArgs {
    /// Whether more than one site or configuration is asked about.
    pub fn is_batch(&self) -> bool {
        self.batch.is_some() || self.against.is_some()
    }
}

/// Explains one request or site.
pub fn run(overrides: &Overrides, args: &ExplainArgs) -> Result<(), Failure> {
    let config = load(overrides)?;
    let style = Style {
        colours: has_colours(&std::io::stdout()),
    };
    let show = |explanation: &Explanation<'_>| match args.json {
        true => print(&explanation.json().to_string()),
        false => print(&explanation.text(style)),
    };
    if let Some(site) = &args.site {
        let reading = Ok(Submission::bare(captcha(&args.captcha, &config)?, site));
        return show(&Explanation::new(&config, None, &reading, args));
    }
    let input = input(args.request.as_deref().unwrap_or_default())?;
    let reading = submission::read(input.dialect, input.request(), config.rules.names());
    show(&Explanation::new(&config, Some(input.request()), &reading, args))
}

/// The captcha that a flag names.
pub fn captcha(name: &str, config: &Config) -> Result<Captcha, Failure> {
    match name.parse() {
        Ok(CaptchaPattern::Kind(kind)) => Ok(config.rules.names().of_type(captcha::type_of(kind), false)),
        Ok(CaptchaPattern::Type(name)) => Ok(config.rules.names().of_type(&name, false)),
        Ok(CaptchaPattern::Method(method)) => Ok(captcha::of_method(&method, false, false)),
        Ok(CaptchaPattern::Any) | Err(_) => {
            let kinds = Kind::ALL.map(Kind::name);
            let hint = closest(name, kinds).map_or(String::new(), |kind| format!("; did you mean \"{kind}\"?"));
            Err(Failure::Wrong(format!(
                "error: --captcha takes {}, a JSON type name or \"method=…\", not \"{name}\"{hint}",
                kinds.join(", ")
            )))
        }
    }
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

fn input(request: &str) -> Result<Input, Failure> {
    let create_task = |body| Input {
        dialect: Dialect::CreateTask,
        target: "/createTask".to_owned(),
        body,
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

/// Everything there is to say about one submission.
struct Explanation<'e> {
    config: &'e Config,
    /// The request, unless it is a bare site that is explained.
    request: Option<Request<'e>>,
    reading: &'e Result<Submission<'e>, Unread>,
    plan: Plan<'e>,
    shows_secrets: bool,
}

impl<'e> Explanation<'e> {
    fn new(
        config: &'e Config,
        request: Option<Request<'e>>,
        reading: &'e Result<Submission<'e>, Unread>,
        args: &ExplainArgs,
    ) -> Self {
        Self {
            config,
            request,
            reading,
            plan: rewrite::plan(reading, &config.rules),
            shows_secrets: args.show_secrets,
        }
    }
}

impl Explanation<'_> {
    fn captcha(&self) -> Option<&Captcha> {
        self.reading.as_ref().ok()?.captcha.as_ref()
    }

    fn site(&self) -> Option<&Site> {
        self.reading.as_ref().ok()?.site.as_ref().ok()
    }

    /// The rules that came close, unless there is nothing to compare.
    fn near_misses(&self) -> Vec<NearMiss<'_>> {
        match (self.site(), self.captcha()) {
            (Some(site), Some(captcha)) => self.config.rules.near_misses(site, captcha),
            _ => Vec::new(),
        }
    }

    /// The part that is shown, the one that holds the request's parameters, before and after. Where it is not certain
    /// what is a key and what is not, nothing is.
    fn before_and_after(&self, request: &Request<'_>, style: Style) -> (String, String) {
        let part = if request.body.is_empty() {
            Part::Target
        } else {
            Part::Body
        };
        let masked = match self.reading {
            _ if self.shows_secrets => Vec::new(),
            Ok(submission) if !submission.doubtful && has_a_name(submission) => show::secrets(submission, part),
            _ => {
                let hidden = format!(
                    "({} bytes, which may hold a key: --show-secrets shows them)",
                    request.part(part).len()
                );
                return (hidden.clone(), hidden);
            }
        };
        let before = show::before(request, part, &masked);
        (before, show::after(request, part, &self.plan.edits, &masked, style))
    }

    fn text(&self, style: Style) -> String {
        let mut lines = Vec::new();
        let mut line = |name: &str, text: String| lines.push(format!("{} {text}", style.bold(&format!("{name:<9}"))));
        match self.reading {
            Err(unread) => line("unread", unread.to_string()),
            Ok(submission) => {
                line("captcha", self.captcha().map_or("none is named".to_owned(), named));
                let field = submission.dialect.site_field();
                line(
                    "site",
                    match &submission.site {
                        Ok(site) if self.request.is_some() => format!("{site} (read from {field})"),
                        Ok(site) => site.to_string(),
                        Err(error) => error.to_string(),
                    },
                );
            }
        }
        let outcome = &self.plan.outcome;
        if let Some(rule) = outcome.rule {
            line("rule", format!("{} ({})", rule.id, place(rule, self.config)));
        }
        let misses = self.near_misses();
        for miss in misses.iter().take(CLOSE) {
            let why = match miss.why {
                Why::Captcha => format!("{} matches, but not the captcha", miss.pattern),
                Why::Path => format!("{} matches the host, but not the path", miss.pattern),
                Why::Host => format!("{} is close, but does not match the host", miss.pattern),
            };
            line(
                "close",
                format!("{} ({}): {why}", miss.rule.id, place(miss.rule, self.config)),
            );
        }
        line("decision", outcome.to_string());
        if let Some(reason) = outcome.reason {
            line("", style.dim(in_words(reason)));
        }
        if let Some(request) = &self.request {
            for edit in &self.plan.edits {
                let change = format!("{}{}", style.removed(&lossy(&edit.old)), style.added(&lossy(&edit.new)));
                line(
                    "edit",
                    format!("{} at byte {}: {}", part_name(edit.part), edit.at, change.trim_end()),
                );
            }
            let (before, after) = self.before_and_after(request, style);
            line("before", before);
            line(
                "after",
                if self.plan.edits.is_empty() {
                    "the same bytes".to_owned()
                } else {
                    after
                },
            );
        }
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let outcome = &self.plan.outcome;
        let close = self.near_misses().into_iter().take(CLOSE).map(|miss| {
            json!({
                "rule": miss.rule.id,
                "pattern": miss.pattern.to_string(),
                "differs": match miss.why {
                    Why::Captcha => "captcha",
                    Why::Path => "path",
                    Why::Host => "host",
                },
            })
        });
        let mut value = json!({
            "captcha": self.captcha().map(Captcha::to_string),
            "site": self.site().map(Site::to_string),
            "decision": outcome.token.name(),
            "action": outcome.action().map(|action| action.to_string()),
            "via": outcome.via.map(|via| via.to_string()),
            "rule": outcome.rule.map(|rule| &rule.id),
            "place": outcome.rule.map(|rule| place(rule, self.config)),
            "reason": outcome.reason.map(Reason::name),
            "close": close.collect::<Vec<_>>(),
        });
        if let Some(request) = &self.request {
            let edits = self.plan.edits.iter().map(|edit| {
                json!({ "part": part_name(edit.part), "at": edit.at, "old": lossy(&edit.old), "new": lossy(&edit.new) })
            });
            value["edits"] = Value::Array(edits.collect());
            value["before"] = Value::from(self.before_and_after(request, Style { colours: false }).0);
        }
        value
    }
}

/// How many rules that came close are shown.
const CLOSE: usize = 5;

/// A captcha and the name it was read from.
fn named(captcha: &Captcha) -> String {
    match (&captcha.kind, &captcha.name) {
        (Some(kind), name @ captcha::Name::Type(_)) => format!("{kind} (type {})", name.shown()),
        (Some(kind), name @ captcha::Name::Method(_)) => format!("{kind} (method={})", name.shown()),
        (None, _) => captcha.to_string(),
    }
}

/// Whether what stands in the captcha's place is a name, and not half of a mangled request.
fn has_a_name(submission: &Submission<'_>) -> bool {
    submission
        .captcha
        .as_ref()
        .is_none_or(|captcha| !captcha.name.shown().starts_with('('))
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Target => "target",
        Part::Body => "body",
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
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
