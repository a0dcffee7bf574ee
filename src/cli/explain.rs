//! `explain`: what the rules do to a request, by the code that serves, without sending anything.

use std::path::PathBuf;

use clap::Args;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use strum::VariantArray;

use super::{
    explain_input,
    marks::{self, Style},
    output::{Failure, has_colours, load, print},
    secrets,
};
use crate::{
    config::{Config, Overrides, report::closest},
    observe::record::shown_host,
    rewrite::{self, Edits, Flaw, Outcome, Reason},
    rules::{CaptchaPattern, MissReason, NearMiss},
    submission::{
        Captcha, CaptchaNames, Kind, Part, Request, Site, SiteError, Submission, Unread, captcha,
        plain_shape::{self, Doubt, Sent},
    },
};

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A request: a createTask or form body, an in.php URL, a raw HTTP request or a curl command line; or a file with one, "-"
    /// for stdin
    #[arg(required_unless_present_any = ["site", "batch"], conflicts_with_all = ["site", "batch"])]
    pub request: Option<String>,
    /// A target site, instead of a whole request
    #[arg(long, value_name = "URL", conflicts_with = "batch")]
    pub site: Option<String>,
    /// A file with one target site per line, or "-" for stdin: prints one line of CSV for each
    #[arg(long, value_name = "FILE")]
    pub batch: Option<String>,
    /// With --site and --batch: the captcha, a kind or a JSON type name
    #[arg(long, value_name = "NAME", default_value = "recaptcha-v2")]
    pub captcha: String,
    /// Compare with another configuration, and print only what is decided differently
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// One JSON object (with --batch one per line), for machines
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
        let (site, captcha) = (Site::parse(site), captcha(&args.captcha, &config)?);
        return show(&Explanation::of_site(&config, &site, &captcha));
    }
    let input = explain_input::read(args.request.as_deref().unwrap_or_default())?;
    let reading = input.read(&config.rules);
    show(&Explanation::of_request(
        &config,
        input.request(),
        &reading,
        args.show_secrets,
    ))
}

/// The captcha that a flag names.
pub fn captcha(name: &str, config: &Config) -> Result<Captcha, Failure> {
    let pattern = name.parse::<CaptchaPattern>().ok();
    let captcha = pattern.and_then(|pattern| pattern.example(config.rules.names()));
    captcha.ok_or_else(|| {
        let kinds: Vec<&str> = Kind::VARIANTS.iter().map(Into::into).collect();
        let hint =
            closest(name, kinds.iter().copied()).map_or(String::new(), |kind| format!("; did you mean \"{kind}\"?"));
        Failure::wrong(format!(
            "--captcha takes {}, a JSON type name or \"method=…\", not \"{name}\"{hint}",
            kinds.join(", ")
        ))
    })
}

/// Everything there is to say about a request or a site.
struct Explanation<'e> {
    config: &'e Config,
    /// The request, unless a site alone is explained.
    request: Option<Explained<'e>>,
    unread: Option<Unread>,
    captcha: Option<&'e Captcha>,
    /// `None` if the request cannot be read.
    site: Option<Result<&'e Site, SiteError>>,
    outcome: Outcome<'e>,
    flaw: Option<Flaw>,
}

/// A request that is explained.
struct Explained<'e> {
    request: Request<'e>,
    reading: &'e Result<Submission<'e>, Unread>,
    edits: Edits,
    shows_secrets: bool,
}

impl<'e> Explanation<'e> {
    fn of_site(config: &'e Config, site: &'e Result<Site, SiteError>, captcha: &'e Captcha) -> Self {
        Self {
            config,
            request: None,
            unread: None,
            captcha: Some(captcha),
            site: Some(site.as_ref().map_err(|error| *error)),
            outcome: rewrite::outcome_for(site, captcha, &config.rules),
            flaw: site.as_ref().err().map(|error| (*error).into()),
        }
    }

    fn of_request(
        config: &'e Config,
        request: Request<'e>,
        reading: &'e Result<Submission<'e>, Unread>,
        shows_secrets: bool,
    ) -> Self {
        let plan = rewrite::plan(reading, &config.rules);
        let submission = reading.as_ref().ok();
        Self {
            config,
            unread: reading.as_ref().err().copied(),
            captcha: submission.and_then(|submission| submission.captcha.as_ref()),
            site: submission.map(|submission| submission.site.as_ref().map_err(|error| *error)),
            outcome: plan.outcome,
            flaw: plan.flaw,
            request: Some(Explained {
                request,
                reading,
                edits: plan.edits,
                shows_secrets,
            }),
        }
    }
}

impl Explained<'_> {
    /// The part that is shown, the one that holds the request's parameters, before and after. If it is not certain which
    /// bytes are a key, none are shown.
    fn before_and_after(&self, style: Style) -> (String, String) {
        let request = &self.request;
        let part = if request.body.is_empty() {
            Part::Target
        } else {
            Part::Body
        };
        let masked = match self.reading {
            _ if self.shows_secrets => Vec::new(),
            Ok(submission) if is_certain(submission, request) && secrets::shows_name(submission) => {
                secrets::secrets(submission, part)
            }
            _ => {
                let hidden = format!(
                    "({} bytes, hidden because they may hold an API key: --show-secrets shows them)",
                    request.part(part).len()
                );
                return (hidden.clone(), hidden);
            }
        };
        let before = marks::before(request, part, &masked);
        (before, marks::after(request, part, &self.edits, &masked, style))
    }
}

impl Explanation<'_> {
    /// Where a body stops being valid JSON, if that is why it cannot be read.
    fn broken_json(&self) -> Option<String> {
        let body = self.request.as_ref()?.request.body;
        let is_unread = self.unread == Some(Unread::Unreadable) && body.trim_ascii_start().starts_with(b"{");
        let error = serde_json::from_slice::<IgnoredAny>(body).err().filter(|_| is_unread)?;
        let lines: usize = body
            .split_inclusive(|byte| *byte == b'\n')
            .take(error.line() - 1)
            .map(<[u8]>::len)
            .sum();
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        let (at, line) = (lines + error.column(), error.line());
        let before = body.get(..at.saturating_sub(1)).unwrap_or_default().trim_ascii_end();
        let bracket = body.get(at.saturating_sub(1)).filter(|byte| b"}]".contains(byte));
        if let Some(bracket) = bracket.filter(|_| before.ends_with(b",")) {
            let bracket = char::from(*bracket);
            return Some(format!(
                "invalid JSON: remove the comma in front of the \"{bracket}\" at byte {at} (line {line})"
            ));
        }
        Some(format!("invalid JSON at byte {at} (line {line}): {said}"))
    }

    /// The rules that nearly applied.
    fn near_misses(&self) -> Vec<NearMiss<'_>> {
        match (self.site, self.captcha) {
            (Some(Ok(site)), Some(captcha)) => self.config.rules.near_misses(site, captcha),
            _ => Vec::new(),
        }
    }

    fn text(&self, style: Style) -> String {
        let mut lines = Vec::new();
        let mut line = |name: &str, text: String| lines.push(format!("{} {text}", style.bold(&format!("{name:<9}"))));
        if let Some(unread) = self.unread {
            line("unread", unread.to_string());
        }
        if let Some(site) = self.site {
            line("captcha", self.captcha.map_or("none is named".to_owned(), named));
            let dialect = self
                .request
                .as_ref()
                .and_then(|explained| explained.reading.as_ref().ok());
            line(
                "site",
                match (site, dialect.map(|submission| submission.dialect)) {
                    (Ok(site), Some(dialect)) => format!("{} (read from {})", shown(site), dialect.site_field()),
                    (Ok(site), None) => site.to_string(),
                    (Err(error), _) => error.to_string(),
                },
            );
        }
        if let Some(rule) = self.outcome.rule {
            line("rule", format!("{} ({})", rule.id, self.config.place(rule)));
        }
        for miss in self.near_misses().iter().take(CLOSE) {
            let why = match miss.reason {
                MissReason::Captcha => match self.captcha.and_then(|captcha| captcha.kind) {
                    Some(kind) => format!(
                        "{} matches, but not the captcha: its captchas do not list \"{kind}\"",
                        miss.pattern
                    ),
                    None => format!("{} matches, but not the captcha", miss.pattern),
                },
                MissReason::Path => format!("{} matches the host, but not the path", miss.pattern),
                MissReason::Host => format!("{} is related, but does not match the host", miss.pattern),
            };
            line(
                "close",
                format!("{} ({}): {why}", miss.rule.id, self.config.place(miss.rule)),
            );
        }
        line("decision", self.outcome.to_string());
        if let Some(reason) = self.outcome.reason {
            line("", style.dim(in_words(reason)));
        }
        if let Some(flaw) = self.flaw.filter(|flaw| says_more(*flaw, self.outcome)) {
            line("", style.dim(&flaw.to_string()));
        }
        if let Some(place) = self.broken_json() {
            line("", style.dim(&place));
        }
        if let Some(explained) = &self.request {
            for edit in &explained.edits {
                let change = format!("{}{}", style.removed(&lossy(&edit.old)), style.added(&lossy(&edit.new)));
                line(
                    "edit",
                    format!("{} at byte {}: {}", part_name(edit.part), edit.at, change.trim_end()),
                );
            }
            let (before, after) = explained.before_and_after(style);
            line("before", before);
            line(
                "after",
                if explained.edits.is_empty() {
                    "the same bytes".to_owned()
                } else {
                    after
                },
            );
        }
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let close = self.near_misses().into_iter().take(CLOSE).map(|miss| {
            json!({
                "rule": miss.rule.id.as_str(),
                "pattern": miss.pattern.to_string(),
                "differs": <&str>::from(miss.reason),
            })
        });
        let mut value = json!({
            "captcha": self.captcha.map(Captcha::to_string),
            "site": self.site.and_then(Result::ok).map(|site| match self.request {
                Some(_) => shown(site),
                None => site.to_string(),
            }),
            "place": self.outcome.rule.map(|rule| self.config.place(rule)),
            "close": close.collect::<Vec<_>>(),
            "detail": self.broken_json().or(self.flaw.map(|flaw| flaw.to_string())),
        });
        for (name, field) in self.outcome.fields() {
            value[name] = Value::from(field);
        }
        if let Some(explained) = &self.request {
            let edits = explained.edits.iter().map(|edit| {
                json!({ "part": part_name(edit.part), "at": edit.at, "old": lossy(&edit.old), "new": lossy(&edit.new) })
            });
            value["edits"] = Value::Array(edits.collect());
            value["before"] = Value::from(explained.before_and_after(Style { colours: false }).0);
        }
        value
    }
}

/// How many near misses are shown.
const CLOSE: usize = 5;

/// A captcha and the name it was read from.
fn named(captcha: &Captcha) -> String {
    match (&captcha.kind, &captcha.name) {
        // A name that is known can be no key, however it is spelled.
        (Some(kind), captcha::Name::Type(name)) => format!("{kind} (type {name})"),
        (Some(kind), captcha::Name::Method(name)) => format!("{kind} (method={name})"),
        (None, _) => captcha.to_string(),
    }
}

/// Whether a flaw says more than the reason of the outcome.
fn says_more(flaw: Flaw, outcome: Outcome<'_>) -> bool {
    match flaw {
        Flaw::Unread(_) => false,
        Flaw::Doubt(_) | Flaw::Site(SiteError::Invisible(_)) => true,
        Flaw::Site(_) => outcome.reason == Some(Reason::Unreadable),
    }
}

/// Whether every reader finds the same parameters, so that a key is nowhere else.
fn is_certain(submission: &Submission<'_>, request: &Request<'_>) -> bool {
    let mut submission = submission.clone();
    let sent = Sent::usual(submission.dialect, request.body);
    plain_shape::judge(&mut submission, request, &sent, &CaptchaNames::default());
    matches!(
        submission.doubt,
        None | Some(Doubt::Path | Doubt::Value(_) | Doubt::Site(_))
    )
}

/// The site of a request, unless it could be a key.
fn shown(site: &Site) -> String {
    match shown_host(site.host()) == captcha::Name::HIDDEN {
        true => captcha::Name::HIDDEN.to_owned(),
        false => site.to_string(),
    }
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
        Reason::ActionKeep => "the rule leaves it as sent",
        Reason::AlreadyOn => "the request turns nocache on already",
        Reason::AlreadyOff => "there is nothing to turn off",
        Reason::ClientSaidOff => "the client itself turned nocache off, and \"add\" respects that (\"force\" does not)",
        Reason::CaptchaNotCovered => "neither a rule for this site nor the default covers this captcha",
        Reason::NoSite => "there is no websiteURL or pageurl to match rules with",
        Reason::BadSite => "websiteURL or pageurl is not an http or https URL",
        Reason::NoTask => "there is no task object",
        Reason::Unreadable => "the request is malformed or ambiguous",
        Reason::Ambiguous => "a field that decides the captcha or the site is given twice",
        Reason::EncodingUnknown => "the gateway does not decode its content coding",
        Reason::ActionDeny => "the rule denies the site",
    }
}
