//! Which captcha a submission asks for: an exact list of names, never a prefix.
//!
//! `ComplexImageTask` with class recaptcha and `RecaptchaClickTask` are pictures, not tokens; a prefix would take them
//! for reCAPTCHA v2.

use std::{collections::HashMap, fmt};

use smol_str::SmolStr;

use super::plain_shape::skeleton::{self, Skeleton};

/// A kind of captcha that nocache applies to.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Kind {
    /// reCAPTCHA v2
    RecaptchaV2,
    /// reCAPTCHA v2 Enterprise
    RecaptchaV2Enterprise,
    /// reCAPTCHA v3
    RecaptchaV3,
    /// reCAPTCHA v3 Enterprise
    RecaptchaV3Enterprise,
}

impl Kind {
    /// The two that the vendor documents nocache for
    /// (<https://docs.capmonster.cloud/docs/api/token-accept/>).
    pub const DOCUMENTED: [Self; 2] = [Self::RecaptchaV2, Self::RecaptchaV3];

    /// The vendor's current type name.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::RecaptchaV2 => "RecaptchaV2Task",
            Self::RecaptchaV2Enterprise => "RecaptchaV2EnterpriseTask",
            Self::RecaptchaV3 => "RecaptchaV3Task",
            Self::RecaptchaV3Enterprise => "RecaptchaV3EnterpriseTask",
        }
    }
}

/// The captcha's name in the request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// The JSON API's `type`.
    Type(SmolStr),
    /// The legacy API's `method`.
    Method(SmolStr),
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = match self {
            Self::Type(_) => "Type",
            Self::Method(_) => "Method",
        };
        f.debug_tuple(variant).field(&self.shown()).finish()
    }
}

/// The longest name that a rule can name, in bytes.
pub const MAX_NAME: usize = 253;

impl Name {
    /// The name as it may be shown, whether or not it is known: a mangled request can have its key there. A type is shown
    /// if it has `Task` in it and is up to 64 letters and digits; a method, if it is up to 24 of `a-z` and `_` with at most
    /// two digits. Anything else is `other`.
    pub fn shown(&self) -> &str {
        let (is_shown, name) = match self {
            Self::Type(name) => (
                name.len() <= 64 && name.contains("Task") && name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                name,
            ),
            Self::Method(name) => (
                (1..=24).contains(&name.len())
                    && name
                        .bytes()
                        .all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'0'..=b'9'))
                    && name.bytes().filter(u8::is_ascii_digit).count() <= 2,
                name,
            ),
        };
        if is_shown { name } else { Self::HIDDEN }
    }

    /// What is shown of a name that is not.
    pub const HIDDEN: &str = "other";

    /// A name as it is kept: of one that no rule can name only the beginning, a byte more than a rule can have. A record
    /// outlives its request and must not hold a megabyte of it.
    fn kept(name: &str) -> SmolStr {
        // A character has up to four bytes.
        name[..name.floor_char_boundary(MAX_NAME + 4)].into()
    }
}

/// The captcha of a submission. Its `Display` shows nothing that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Captcha {
    /// The kind that the name belongs to.
    pub kind: Option<Kind>,
    /// The name, as the client spelled it; see [`MAX_NAME`].
    pub name: Name,
}

impl fmt::Display for Captcha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.name) {
            (Some(kind), _) => kind.fmt(f),
            (None, name @ Name::Type(_)) => f.write_str(name.shown()),
            (None, name @ Name::Method(_)) => write!(f, "method={}", name.shown()),
        }
    }
}

/// The type names of each kind: the built-in list, and what the configuration's `[captchas]` adds.
#[derive(Clone, Debug, Default)]
pub struct CaptchaNames {
    /// By name in ASCII lowercase.
    added: HashMap<String, Kind>,
}

/// Every name that the vendor's documentation or a client for its API has used, as the vendor spells it. The vendor's
/// server ignores case, so capsolver's `ReCaptchaV2TaskProxyLess` is among them.
const BUILT_IN: [(&str, Kind); 10] = [
    ("RecaptchaV2Task", Kind::RecaptchaV2),
    ("RecaptchaV2TaskProxyless", Kind::RecaptchaV2),
    ("NoCaptchaTask", Kind::RecaptchaV2),
    ("NoCaptchaTaskProxyless", Kind::RecaptchaV2),
    ("RecaptchaV2EnterpriseTask", Kind::RecaptchaV2Enterprise),
    ("RecaptchaV2EnterpriseTaskProxyless", Kind::RecaptchaV2Enterprise),
    ("RecaptchaV3Task", Kind::RecaptchaV3),
    ("RecaptchaV3TaskProxyless", Kind::RecaptchaV3),
    ("RecaptchaV3EnterpriseTask", Kind::RecaptchaV3Enterprise),
    ("RecaptchaV3EnterpriseTaskProxyless", Kind::RecaptchaV3Enterprise),
];

impl CaptchaNames {
    /// Adds a type name to a kind. A name that is already known moves to that kind.
    pub fn add(&mut self, name: &str, kind: Kind) {
        self.added.insert(name.to_ascii_lowercase(), kind);
    }

    /// The captcha of a JSON task: its `type`, and whether `isEnterprise` is on, which counts on v3 types only
    /// (<https://docs.capmonster.cloud/docs/captchas/recaptcha-v3-task/>).
    pub fn of_type(&self, name: &str, is_enterprise: bool) -> Captcha {
        let built_in = BUILT_IN.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        let kind = self.added(name).or(built_in.map(|(_, kind)| kind));
        let kept = match built_in {
            // Nothing has to be held.
            Some((known, _)) if known == name => SmolStr::new_static(known),
            _ => Name::kept(name),
        };
        Captcha {
            kind: kind.map(|kind| match kind {
                Kind::RecaptchaV3 if is_enterprise => Kind::RecaptchaV3Enterprise,
                kind => kind,
            }),
            name: Name::Type(kept),
        }
    }

    /// Makes a captcha the one that its name is to a reader that folds more: `"RecaptchaV3Task "` is `RecaptchaV3Task`. What
    /// the request says of v3 (legacy) and Enterprise counts as in [`Self::of_type`] and [`of_method`].
    pub fn fold(&self, captcha: &mut Captcha, is_v3: bool, is_enterprise: bool) {
        let (Name::Type(name) | Name::Method(name)) = &captcha.name;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if captcha.kind.is_some() || name.len() > MAX_NAME || name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return;
        }
        let seen = Skeleton::of(name);
        let folded = match &captcha.name {
            Name::Type(_) => {
                let mut known = self
                    .added
                    .keys()
                    .map(String::as_str)
                    .chain(BUILT_IN.map(|(known, _)| known));
                known
                    .find(|known| seen.is(known))
                    .map(|known| self.of_type(known, is_enterprise))
            }
            Name::Method(_) => seen.is(RECAPTCHA).then(|| of_method(RECAPTCHA, is_v3, is_enterprise)),
        };
        if let Some(folded) = folded {
            *captcha = folded;
        } else if !name.bytes().all(is_plain) {
            // What a pattern of the rules could name.
            let mut seen = skeleton::folded(name);
            seen.retain(|c| c.is_ascii() && is_plain(c as u8));
            captcha.name = match &captcha.name {
                Name::Type(_) => Name::Type(seen.into()),
                Name::Method(_) => Name::Method(seen.into()),
            };
        }
    }

    fn added(&self, name: &str) -> Option<Kind> {
        match self.added.is_empty() {
            true => None,
            false => self.added.get(&name.to_ascii_lowercase()).copied(),
        }
    }
}

/// The legacy method for reCAPTCHA.
const RECAPTCHA: &str = "userrecaptcha";

/// The captcha of a legacy request: `method`, `version` and `enterprise`.
pub fn of_method(method: &str, is_v3: bool, is_enterprise: bool) -> Captcha {
    let kind = method
        .eq_ignore_ascii_case(RECAPTCHA)
        .then_some(match (is_v3, is_enterprise) {
            (false, false) => Kind::RecaptchaV2,
            (false, true) => Kind::RecaptchaV2Enterprise,
            (true, false) => Kind::RecaptchaV3,
            (true, true) => Kind::RecaptchaV3Enterprise,
        });
    Captcha {
        kind,
        name: Name::Method(Name::kept(method)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_recaptcha() {
        let names = CaptchaNames::default();
        for (name, kind) in [
            ("RecaptchaV2Task", Some(Kind::RecaptchaV2)),
            ("NoCaptchaTaskProxyless", Some(Kind::RecaptchaV2)),
            ("ReCaptchaV3TaskProxyLess", Some(Kind::RecaptchaV3)),
            ("recaptchav2enterprisetask", Some(Kind::RecaptchaV2Enterprise)),
            ("RecaptchaClickTask", None),
            ("ComplexImageTask", None),
            ("RecaptchaV2TaskX", None),
            ("RecaptchaV2", None),
            ("TurnstileTask", None),
            ("", None),
        ] {
            assert_eq!(names.of_type(name, false).kind, kind, "{name}");
        }
    }

    #[test]
    fn is_enterprise_counts_on_v3_types_only() {
        let names = CaptchaNames::default();
        assert_eq!(
            names.of_type("RecaptchaV3TaskProxyless", true).kind,
            Some(Kind::RecaptchaV3Enterprise)
        );
        assert_eq!(names.of_type("RecaptchaV2Task", true).kind, Some(Kind::RecaptchaV2));
    }

    #[test]
    fn a_folded_name_is_the_known_one() {
        let mut names = CaptchaNames::default();
        names.add("my-vendor", Kind::RecaptchaV2);
        let typed = |name: &str| names.of_type(name, false);
        let method = |name: &str| of_method(name, false, false);
        for (mut captcha, shown) in [
            (typed("RecaptchaV3Task "), "recaptcha-v3"),
            (typed("Recaptcha_V2_Task"), "recaptcha-v2"),
            (typed("RecaptchaV2Tas\u{212a}"), "recaptcha-v2"),
            (typed("My Vendor"), "recaptcha-v2"),
            // It is one that a rule can name, but not one that is shown.
            (typed("TurnstileTask\u{200b}"), "other"),
            (typed("TurnstileTask"), "TurnstileTask"),
            (method("userrecaptcha "), "recaptcha-v2"),
            (method("geetest_v4 "), "method=geetest_v4"),
            (method("geetest_v4"), "method=geetest_v4"),
        ] {
            names.fold(&mut captcha, false, false);
            assert_eq!(captcha.to_string(), shown);
        }
        let mut captcha = typed("TurnstileTask\u{200b}");
        names.fold(&mut captcha, false, false);
        assert_eq!(captcha.name, Name::Type("turnstiletask".into()));
    }

    #[test]
    fn configured_names_join_the_list() {
        let mut names = CaptchaNames::default();
        names.add("MyVendorTask", Kind::RecaptchaV2);
        assert_eq!(names.of_type("myvendortask", false).kind, Some(Kind::RecaptchaV2));
    }

    #[test]
    fn a_name_that_could_be_a_key_is_not_shown() {
        let names = CaptchaNames::default();
        for (name, shown) in [
            ("TurnstileTask", "TurnstileTask"),
            ("NoCaptchaTaskProxyless", "recaptcha-v2"),
            ("Turnstile", "other"),
            ("0123456789abcdef0123456789abcdef", "other"),
            ("Task 0123456789abcdef", "other"),
            ("", "other"),
            (
                &("Task".to_owned() + &"0".repeat(60)),
                &("Task".to_owned() + &"0".repeat(60)),
            ),
            (&("Task".to_owned() + &"0".repeat(61)), "other"),
        ] {
            assert_eq!(names.of_type(name, false).to_string(), shown, "{name}");
        }
        for (name, shown) in [
            ("hcaptcha", "method=hcaptcha"),
            ("amazon_waf", "method=amazon_waf"),
            ("geetest_v4", "method=geetest_v4"),
            ("UserRecaptcha", "recaptcha-v2"),
            ("HCaptcha", "method=other"),
            ("abc123", "method=other"),
            ("abcdefabcdefabcdefabcdefabcdefab", "method=other"),
            ("", "method=other"),
        ] {
            assert_eq!(of_method(name, false, false).to_string(), shown, "{name}");
        }
    }

    #[test]
    fn a_name_is_not_kept_whole() {
        for long in ["a".repeat(1 << 20), "\u{1f600}".repeat(1 << 18)] {
            for captcha in [
                CaptchaNames::default().of_type(&long, false),
                of_method(&long, false, false),
            ] {
                let (Name::Type(name) | Name::Method(name)) = captcha.name;
                assert!((MAX_NAME + 1..=MAX_NAME + 4).contains(&name.len()), "{}", name.len());
            }
        }
    }
}
