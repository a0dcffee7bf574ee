//! The law of rewriting: take the edits out again and the bytes are what the client sent; parse the result with a parser
//! that is not ours and it equals the parsed original, but for nocache.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

const CASES: u32 = 10_000;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn any_rules() -> impl Strategy<Value = RuleSet> {
    (
        prop::sample::select(vec![Action::Add, Action::Force, Action::Strip, Action::Keep]),
        prop::sample::select(vec![Via::Parameter, Via::Key]),
    )
        .prop_map(|(action, via)| everywhere(action, via))
}

/// What the outcome promises of a parsed request, given the values of nocache after it and the key's text. Odd values may
/// stay in a legacy request.
fn check_promise(
    decision: Decision,
    via: Option<Via>,
    nocache: &[String],
    key: &str,
    odd_may_stay: bool,
) -> Result<(), TestCaseError> {
    let is_one_of = |value: &str, words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    let is_on = |value: &str| is_one_of(value, &["true", "1"]);
    let is_odd = |value: &str| !is_on(value) && !is_one_of(value, &["false", "0", "", "null"]);
    let mut known = nocache.iter().filter(|value| !(odd_may_stay && is_odd(value)));
    let has_suffix = key
        .split("__")
        .skip(1)
        .any(|segment| segment.eq_ignore_ascii_case("nocache"));
    match decision {
        Decision::Set if via == Some(Via::Key) => prop_assert!(has_suffix, "{key}"),
        Decision::Set => prop_assert!(
            known.clone().next().is_some() && known.all(|value| is_on(value)),
            "{nocache:?}"
        ),
        // A null says nothing, and may stay.
        Decision::Removed => prop_assert!(known.all(|value| value == "null") && !has_suffix, "{nocache:?} {key}"),
        Decision::Kept | Decision::Skipped | Decision::Denied => {}
    }
    Ok(())
}

// === JSON ===

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "\n", "\r\n\t", "  "])
}

/// Text as JSON, each character at random as itself, as `\uXXXX`, or in its short escape.
fn string(text: String) -> impl Strategy<Value = String> {
    prop::collection::vec(0..6u8, text.chars().count()).prop_map(move |ways| {
        let mut json = String::from('"');
        for (c, way) in text.chars().zip(ways) {
            match (c, way) {
                ('/', 0) => json.push_str("\\/"),
                ('"' | '\\', _) => json.extend(['\\', c]),
                (c, 1) => c
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .for_each(|unit| json += &format!("\\u{unit:04x}")),
                (c, _) if c < ' ' => json += &format!("\\u{:04X}", u32::from(c)),
                (c, _) => json.push(c),
            }
        }
        json.push('"');
        json
    })
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "1.0",
            "-0.5e3",
            "12345678901234567890",
            "[]",
            "{}"
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_flat_map(string),
        "[{}\\[\\],:\"\\\\ ]{0,12}".prop_flat_map(string),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec((space(), inner.clone()), 0..3).prop_map(|items| format!(
                "[{}]",
                items
                    .iter()
                    .map(|(s, v)| format!("{s}{v}"))
                    .collect::<Vec<_>>()
                    .join(",")
            )),
            prop::collection::vec((string("task".into()), space(), inner), 0..3).prop_map(|items| format!(
                "{{{}}}",
                items
                    .iter()
                    .map(|(n, s, v)| format!("{n}{s}:{v}"))
                    .collect::<Vec<_>>()
                    .join(",")
            )),
        ]
    })
}

fn object(members: Vec<(String, String)>) -> impl Strategy<Value = String> {
    let spaces = prop::collection::vec([space(), space(), space(), space()], members.len().max(1));
    (Just(members).prop_shuffle(), spaces).prop_map(|(members, spaces)| {
        let members: Vec<String> = members
            .iter()
            .zip(&spaces)
            .map(|((name, value), [a, b, c, d])| format!("{a}{name}{b}:{c}{value}{d}"))
            .collect();
        format!("{{{}{}}}", spaces[0][0], members.join(","))
    })
}

fn named(name: &'static str, value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<(String, String)> {
    (string(name.into()), value).boxed()
}

/// Up to one member of each name that is read, any number of others, and any number of nocaches.
fn json_body() -> impl Strategy<Value = String> {
    let types = vec!["RecaptchaV2Task", "NoCaptchaTask", "recaptchav3task", "TurnstileTask"];
    let sites = vec!["https://a.example/x", "a.example", "", "ftp://x"];
    let keys = vec!["K", "K__nocache", "K__a__NOCACHE__b", "", "K__nocache__nocache"];
    let kind = named(
        "type",
        prop::sample::select(types).prop_flat_map(|name| string(name.into())),
    );
    let site = named(
        "websiteURL",
        prop::sample::select(sites).prop_flat_map(|site| string(site.into())),
    );
    let key = named(
        "clientKey",
        prop::sample::select(keys).prop_flat_map(|key| string(key.into())),
    );
    let words = vec![
        "true",
        "false",
        "null",
        "1",
        "0",
        "\"1\"",
        "\"\"",
        "\"True\"",
        "\"FALSE\"",
        "\"maybe\"",
        "2",
        "[]",
        "{\"nocache\":1}",
    ];
    let nocache = named("nocache", prop::sample::select(words).prop_map(str::to_owned));
    let other = |prefix: &'static str| {
        ("[a-z_]{0,6}", value()).prop_flat_map(move |(name, value)| (string(format!("{prefix}{name}")), Just(value)))
    };
    let task = (
        prop::option::weighted(0.9, kind),
        prop::option::weighted(0.9, site),
        prop::collection::vec(nocache, 0..3),
        prop::collection::vec(other("x"), 0..4),
    )
        .prop_flat_map(|(kind, site, nocache, others)| {
            object(kind.into_iter().chain(site).chain(nocache).chain(others).collect())
        });
    (
        prop::option::weighted(0.9, named("task", task)),
        prop::option::weighted(0.9, key),
        prop::collection::vec(other("y"), 0..3),
        prop::sample::select(vec!["", "\u{feff}"]),
    )
        .prop_flat_map(|(task, key, others, bom)| {
            let members = task.into_iter().chain(key).chain(others).collect();
            (Just(bom), object(members), space())
        })
        .prop_map(|(bom, object, space)| format!("{bom}{object}{space}"))
}

/// The parsed body without nocache and key, and the two of them.
fn parsed(body: &str) -> (Value, Vec<String>, String) {
    let mut value: Value = serde_json::from_str(body.trim_start_matches('\u{feff}')).unwrap();
    let key = value.as_object_mut().and_then(|top| top.remove("clientKey"));
    let nocache = value
        .get_mut("task")
        .and_then(Value::as_object_mut)
        .and_then(|task: &mut Map<String, Value>| task.remove("nocache"));
    let text = |value: Value| value.as_str().map_or(value.to_string(), str::to_owned);
    (
        value,
        nocache.into_iter().map(text).collect(),
        key.map_or(String::new(), text),
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn of_json(body in json_body(), rules in any_rules()) {
        let request = Request { target: "/createTask", content_type: None, body: body.as_bytes() };
        let plan = plan(&submission::read(Dialect::CreateTask, request, rules.names()), &rules);
        let result = apply(request.body, Part::Body, &plan.edits);
        prop_assert_eq!(&revert(&result, Part::Body, &plan.edits), request.body);
        prop_assert!(plan.edits.iter().all(|edit| edit.part == Part::Body));
        if plan.edits.is_empty() {
            prop_assert!(!matches!(plan.outcome.decision, Decision::Set | Decision::Removed));
        }
        let result = String::from_utf8(result).unwrap();
        let (before, nocache_before, key_before) = parsed(&body);
        let (after, nocache, key) = parsed(&result);
        prop_assert_eq!(before, after, "all but nocache and key");
        check_promise(plan.outcome.decision, plan.outcome.via, &nocache, &key, false)?;
        match (plan.outcome.decision, plan.outcome.via) {
            (Decision::Set, Some(Via::Key)) => prop_assert_eq!((key, nocache), (key_before + "__nocache", nocache_before)),
            (Decision::Set, _) => prop_assert_eq!(key, key_before),
            (Decision::Removed, _) => prop_assert!(!key.contains("nocache") && key_before.starts_with(key.split("__").next().unwrap())),
            _ => prop_assert_eq!(&result, &body),
        }
    }
}

// === The legacy shapes ===

type Pairs = Vec<(String, String)>;

fn pairs() -> impl Strategy<Value = Pairs> {
    let one = |name: &'static str, values: Vec<&'static str>| {
        prop::sample::select(values).prop_map(move |value| (name.to_owned(), value.to_owned()))
    };
    (
        prop::option::weighted(0.9, one("method", vec!["userrecaptcha", "USERRECAPTCHA", "base64"])),
        prop::option::weighted(
            0.9,
            one("pageurl", vec!["https://a.example/?level=high", "a.example", ""]),
        ),
        prop::option::weighted(0.9, one("key", vec!["K", "K__nocache", "K__a__NoCache__b", ""])),
        prop::collection::vec(
            one(
                "nocache",
                vec!["1", "true", "True", "0", "FALSE", "", "maybe", "1732540000123"],
            ),
            0..3,
        ),
        prop::collection::vec(("x[a-z]{0,4}", "[ -~é]{0,8}"), 0..4),
    )
        .prop_flat_map(|(method, url, key, nocache, others)| {
            let all: Pairs = method
                .into_iter()
                .chain(url)
                .chain(key)
                .chain(nocache)
                .chain(others)
                .collect();
            Just(all).prop_shuffle()
        })
}

/// Splits what was parsed into nocache values, the key that counts, and the rest.
fn sorted_out(pairs: Pairs) -> (Vec<String>, String, Pairs) {
    let of = |name: &str| -> Vec<String> {
        pairs
            .iter()
            .filter(|pair| pair.0 == name)
            .map(|pair| pair.1.clone())
            .collect()
    };
    let key = of("key").first().cloned().unwrap_or_default();
    let rest = pairs
        .iter()
        .filter(|pair| pair.0 != "nocache" && pair.0 != "key")
        .cloned()
        .collect();
    (of("nocache"), key, rest)
}

fn check_legacy(
    request: Request<'_>,
    rules: &RuleSet,
    parse: impl Fn(&str, &[u8]) -> Pairs,
) -> Result<(), TestCaseError> {
    let plan = plan(&submission::read(Dialect::Legacy, request, rules.names()), rules);
    let target = apply(request.target.as_bytes(), Part::Target, &plan.edits);
    let body = apply(request.body, Part::Body, &plan.edits);
    prop_assert_eq!(&revert(&target, Part::Target, &plan.edits), request.target.as_bytes());
    prop_assert_eq!(&revert(&body, Part::Body, &plan.edits), request.body);
    let target = String::from_utf8(target).unwrap();
    let before = sorted_out(parse(request.target, request.body));
    let after = sorted_out(parse(&target, &body));
    prop_assert_eq!(&before.2, &after.2, "all but nocache and key");
    let odd_may_stay = !request.body.starts_with(b"{");
    check_promise(
        plan.outcome.decision,
        plan.outcome.via,
        &after.0,
        &after.1,
        odd_may_stay,
    )?;
    match (plan.outcome.decision, plan.outcome.via) {
        (Decision::Set, Some(Via::Key)) => prop_assert_eq!((before.1 + "__nocache", before.0), (after.1, after.0)),
        (Decision::Set, _) => prop_assert_eq!(before.1, after.1),
        (Decision::Removed, _) => {}
        _ => prop_assert_eq!((target.as_str(), &body[..]), (request.target, request.body)),
    }
    Ok(())
}

/// Percent-encodes a little, at random: clients differ in what they leave as it is.
fn encoded(pairs: &Pairs, seed: u64) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .enumerate()
            .map(|(i, byte)| match byte {
                b' ' if seed & 1 == 0 => "+".to_owned(),
                b'&' | b'+' | b'%' | b'#' | b' ' | b'"' | b'<' | b'>' | 0x80.. => format!("%{byte:02X}"),
                byte if (seed >> (i % 60)) & 3 == 3 => format!("%{byte:02x}"),
                byte => (byte as char).to_string(),
            })
            .collect()
    };
    let pair = |(name, value): &(String, String)| format!("{}={}", encode(name).replace('=', "%3D"), encode(value));
    // Empty pairs are none.
    let separator = if seed.is_multiple_of(5) { "&&" } else { "&" };
    let outside = |bit: u32| if (seed >> bit) & 7 == 7 { "&" } else { "" };
    let pairs: Vec<String> = pairs.iter().map(pair).collect();
    format!("{}{}{}", outside(8), pairs.join(separator), outside(16))
}

fn parse_form(bytes: &[u8]) -> Pairs {
    form_urlencoded::parse(bytes).into_owned().collect()
}

fn parse_query(target: &str) -> Pairs {
    parse_form(target.split_once('?').map_or("", |(_, query)| query).as_bytes())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn of_queries(pairs in pairs(), seed: u64, rules in any_rules()) {
        let target = format!("/in.php?{}", encoded(&pairs, seed));
        let request = Request { target: &target, content_type: None, body: b"" };
        check_legacy(request, &rules, |target, _| parse_query(target))?;
    }

    #[test]
    fn of_forms(in_query in pairs(), pairs in pairs(), split: bool, seed: u64, rules in any_rules()) {
        let target = if split { format!("/in.php?{}", encoded(&in_query, !seed)) } else { "/in.php".to_owned() };
        let body = encoded(&pairs, seed);
        let request = Request { target: &target, content_type: None, body: body.as_bytes() };
        check_legacy(request, &rules, |target, body| [parse_query(target), parse_form(body)].concat())?;
    }

    #[test]
    fn of_multipart(pairs in pairs(), quoted: bool, is_bare: bool, rules in any_rules()) {
        let boundary = "Upload----11-23-2025";
        let mut body = String::new();
        for (name, value) in &pairs {
            let name = if quoted { format!("\"{name}\"") } else { name.clone() };
            body += &format!("--{boundary}\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n");
        }
        body += &format!("--{boundary}--\r\n");
        if is_bare {
            body = body.replace("\r\n", "\n");
        }
        let content_type = format!("multipart/form-data; boundary=\"{boundary}\"");
        let request = Request { target: "/in.php", content_type: Some(content_type.as_bytes()), body: body.as_bytes() };
        // The other parser reads CR LF only.
        let with_returns = |body: &[u8]| String::from_utf8_lossy(body).replace('\n', "\r\n").into_bytes();
        check_legacy(request, &rules, |_, body| match is_bare {
            true => parse_multipart(&with_returns(body), boundary),
            false => parse_multipart(body, boundary),
        })?;
    }

    #[test]
    fn of_legacy_json(pairs in pairs(), rules in any_rules()) {
        let members: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), Value::from(value.as_str())))
            .collect();
        let body = format!("{{{}}}", members.join(","));
        let request = Request { target: "/in.php", content_type: None, body: body.as_bytes() };
        check_legacy(request, &rules, |_, body| parse_object(body))?;
    }
}

/// Every member of an object, duplicates included.
fn parse_object(body: &[u8]) -> Pairs {
    struct All(Pairs);
    impl<'de> serde::Deserialize<'de> for All {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Collect;
            impl<'de> serde::de::Visitor<'de> for Collect {
                type Value = All;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<All, A::Error> {
                    let mut pairs = Pairs::new();
                    while let Some((name, value)) = map.next_entry::<String, Value>()? {
                        pairs.push((name, value.as_str().map_or(value.to_string(), str::to_owned)));
                    }
                    Ok(All(pairs))
                }
            }
            deserializer.deserialize_map(Collect)
        }
    }
    serde_json::from_slice::<All>(body).unwrap().0
}

fn parse_multipart(body: &[u8], boundary: &str) -> Pairs {
    let body = bytes::Bytes::copy_from_slice(body);
    let stream = futures_util::stream::once(async move { Ok::<_, std::io::Error>(body) });
    let mut parts = multer::Multipart::new(stream, boundary);
    let read = async {
        let mut pairs = Pairs::new();
        while let Some(part) = parts.next_field().await.unwrap() {
            let name = part.name().unwrap().to_owned();
            pairs.push((name, part.text().await.unwrap()));
        }
        pairs
    };
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(read)
}
