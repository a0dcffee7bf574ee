use super::{edit::revert, *};
use crate::{
    rules::{Action, CaptchaPattern, LegacyPlace, Rule, RuleSet, Unreadable, Via},
    submission::{self, CaptchaNames, Dialect, Part, Request, Unread},
};

mod law;

/// Reads, decides and applies, as the gateway does: the header, and what of the request went upstream.
fn run(rules: &RuleSet, dialect: Dialect, request: Request<'_>) -> (String, String, String) {
    let plan = plan(&submission::read(dialect, request, rules.names()), rules);
    let part = |part| {
        let result = apply(request.part(part), part, &plan.edits);
        assert_eq!(
            revert(&result, part, &plan.edits),
            request.part(part),
            "the edits can be taken out"
        );
        String::from_utf8(result).unwrap()
    };
    (plan.outcome.to_string(), part(Part::Target), part(Part::Body))
}

fn create_task(rules: &RuleSet, body: &str) -> (String, String) {
    let request = Request {
        target: "/createTask",
        content_type: None,
        body: body.as_bytes(),
    };
    let (header, _, body) = run(rules, Dialect::CreateTask, request);
    (header, body)
}

fn in_php(rules: &RuleSet, target: &str) -> (String, String) {
    let request = Request {
        target,
        content_type: None,
        body: b"",
    };
    let (header, target, _) = run(rules, Dialect::Legacy, request);
    (header, target)
}

fn rule(sites: &str, action: Action, via: Via) -> Rule {
    Rule {
        id: "shop".into(),
        sites: vec![sites.parse().unwrap()],
        captchas: action.default_captchas(),
        action,
        via,
        line: None,
    }
}

fn rules(rule: Rule) -> RuleSet {
    RuleSet::new(vec![rule], Rule::built_in_default(), None, CaptchaNames::default())
}

fn everywhere(action: Action, via: Via) -> RuleSet {
    rules(rule("*", action, via))
}

const SET: &str = "set;action=add;via=parameter;rule=default";
const NOT_COVERED: &str = "skipped;reason=captcha-not-covered";

#[test]
fn nocache_is_the_last_member_of_the_task() {
    let rules = RuleSet::default();
    for (body, expected) in [
        (
            r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://a.example/","websiteKey":"s"}}"#,
            r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://a.example/","websiteKey":"s","nocache":true}}"#,
        ),
        (
            "\u{feff}{\r\n\t\"clientKey\": \"K\",\r\n\t\"task\": {\r\n\t\t\"type\": \"RecaptchaV2Task\",\r\n\t\t\"websiteURL\": \"https://a.example/\"\r\n\t}\r\n}\r\n",
            "\u{feff}{\r\n\t\"clientKey\": \"K\",\r\n\t\"task\": {\r\n\t\t\"type\": \"RecaptchaV2Task\",\r\n\t\t\"websiteURL\": \"https://a.example/\",\"nocache\":true\r\n\t}\r\n}\r\n",
        ),
        (
            r#"{"x":[12345678901234567890,1.0,1e400,[],"\/\u00e9"],"task":{"n":-0.0,"type":"RecaptchaV3TaskProxyless","websiteURL":"a.example","y":{}},"clientKey":"K"}"#,
            r#"{"x":[12345678901234567890,1.0,1e400,[],"\/\u00e9"],"task":{"n":-0.0,"type":"RecaptchaV3TaskProxyless","websiteURL":"a.example","y":{},"nocache":true},"clientKey":"K"}"#,
        ),
        (
            r#"{"t\u0061sk":{"typ\u0065":"RecaptchaV2Task","websiteURL":"https:\/\/a.example\/"}}"#,
            r#"{"t\u0061sk":{"typ\u0065":"RecaptchaV2Task","websiteURL":"https:\/\/a.example\/","nocache":true}}"#,
        ),
        (
            r#"{"task":{"type":"RecaptchaV2Task","nocache":null,"websiteURL":"a.example"}}"#,
            r#"{"task":{"type":"RecaptchaV2Task","nocache":true,"websiteURL":"a.example"}}"#,
        ),
    ] {
        assert_eq!(create_task(&rules, body), (SET.into(), expected.into()));
    }
    for name in [
        "NoCaptchaTaskProxyless",
        "RecaptchaV2TaskProxyless",
        "ReCaptchaV3TaskProxyLess",
        "recaptchav2task",
    ] {
        let body = format!(r#"{{"task":{{"type":"{name}","websiteURL":"a.example"}}}}"#);
        let expected = format!(r#"{{"task":{{"type":"{name}","websiteURL":"a.example","nocache":true}}}}"#);
        assert_eq!(create_task(&rules, &body), (SET.into(), expected));
    }
}

#[test]
fn what_is_not_to_be_changed_is_not() {
    let rules = RuleSet::default();
    let on = "kept;action=add;rule=default;reason=already-on";
    let task = |rest: &str| {
        format!(r#"{{"clientKey":"K","task":{{"type":"RecaptchaV2Task","websiteURL":"a.example"{rest}}}}}"#)
    };
    let keyed = |key: &str| task("").replace("\"K\"", &format!("\"{key}\""));
    for (body, header) in [
        (task(r#","nocache":true"#), on),
        (task(r#","nocache":1"#), on),
        (task(r#","nocache":"true""#), on),
        (task(r#","nocache":"1""#), on),
        (task(r#","NoCache":false,"nocache":true"#), on),
        (keyed("K__nocache"), on),
        (keyed("K__module__x__NoCache"), on),
        (
            task(r#","nocache":false"#),
            "kept;action=add;rule=default;reason=client-said-off",
        ),
        (
            task(r#","nocache":"maybe""#),
            "kept;action=add;rule=default;reason=client-said-off",
        ),
        (
            r#"{"task":{"type":"RecaptchaV3TaskProxyless","isEnterprise":true,"websiteURL":"a.example"}}"#.into(),
            NOT_COVERED,
        ),
        (
            r#"{"task":{"type":"RecaptchaV2EnterpriseTask","websiteURL":"a.example"}}"#.into(),
            NOT_COVERED,
        ),
        (
            r#"{"task":{"type":"TurnstileTask","websiteURL":"a.example"}}"#.into(),
            NOT_COVERED,
        ),
        (
            r#"{"task":{"type":"ImageToTextTask","body":"AAAA"}}"#.into(),
            NOT_COVERED,
        ),
        (
            r#"{"task":{"type":"ComplexImageTask","class":"recaptcha","websiteURL":"a.example"}}"#.into(),
            NOT_COVERED,
        ),
        (
            r#"{"task":{"type":"RecaptchaClickTask","websiteURL":"a.example"}}"#.into(),
            NOT_COVERED,
        ),
        (r#"{"task":{"#.into(), "skipped;reason=unreadable"),
        (String::new(), "skipped;reason=unreadable"),
        (r#"{"task":[]}"#.into(), "skipped;reason=no-task"),
        (r#"{"task":{}}"#.into(), NOT_COVERED),
        (r#"{"task":{},"TASK":{}}"#.into(), "skipped;reason=ambiguous"),
        (
            r#"{"task":{"type":"RecaptchaV2Task"}}"#.into(),
            "skipped;reason=no-site",
        ),
        (
            r#"{"task":{"type":"RecaptchaV2Task","websiteURL":""}}"#.into(),
            "skipped;reason=no-site",
        ),
        (
            r#"{"task":{"type":"RecaptchaV2Task","websiteURL":null}}"#.into(),
            "skipped;reason=no-site",
        ),
        (
            r#"{"task":{"type":"RecaptchaV2Task","websiteURL":5}}"#.into(),
            "skipped;reason=bad-site",
        ),
        (
            r#"{"task":{"type":"RecaptchaV2Task","websiteURL":"ftp://a.example"}}"#.into(),
            "skipped;reason=bad-site",
        ),
    ] {
        assert_eq!(create_task(&rules, &body), (header.into(), body.clone()));
    }
}

#[test]
fn each_action_on_each_word_of_a_task() {
    use Action::{Add, Force, Keep, Strip};
    use Via::{Key, Parameter};
    let body = |key: &str, rest: &str| {
        format!(r#"{{"clientKey":{key},"task":{{"type":"RecaptchaV2Task","websiteURL":"a.example"{rest}}}}}"#)
    };
    for (action, via, key, rest, header, key_after, rest_after) in [
        (
            Add,
            Parameter,
            r#""K""#,
            "",
            "set;action=add;via=parameter;rule=shop",
            r#""K""#,
            r#","nocache":true"#,
        ),
        (
            Add,
            Key,
            r#""K""#,
            "",
            "set;action=add;via=key;rule=shop",
            r#""K__nocache""#,
            "",
        ),
        (
            Add,
            Key,
            r#""K__a_b""#,
            "",
            "set;action=add;via=key;rule=shop",
            r#""K__a_b__nocache""#,
            "",
        ),
        (
            Add,
            Key,
            "5",
            "",
            "set;action=add;via=parameter;rule=shop",
            "5",
            r#","nocache":true"#,
        ),
        (
            Add,
            Key,
            r#""""#,
            "",
            "set;action=add;via=parameter;rule=shop",
            r#""""#,
            r#","nocache":true"#,
        ),
        (
            Add,
            Parameter,
            r#""K__nocache""#,
            r#","nocache":false"#,
            "kept;action=add;rule=shop;reason=client-said-off",
            r#""K__nocache""#,
            r#","nocache":false"#,
        ),
        (
            Force,
            Parameter,
            r#""K""#,
            r#","nocache":false"#,
            "set;action=force;via=parameter;rule=shop",
            r#""K""#,
            r#","nocache":true"#,
        ),
        (
            Force,
            Key,
            r#""K""#,
            r#","nocache": 0 "#,
            "set;action=force;via=parameter;rule=shop",
            r#""K""#,
            r#","nocache": true "#,
        ),
        (
            Force,
            Key,
            r#""K""#,
            "",
            "set;action=force;via=key;rule=shop",
            r#""K__nocache""#,
            "",
        ),
        (
            Force,
            Parameter,
            r#""K""#,
            r#","nocache":true,"nocache":[]"#,
            "set;action=force;via=parameter;rule=shop",
            r#""K""#,
            r#","nocache":true,"nocache":true"#,
        ),
        (
            Force,
            Parameter,
            r#""K__nocache""#,
            "",
            "kept;action=force;rule=shop;reason=already-on",
            r#""K__nocache""#,
            "",
        ),
        (
            Strip,
            Parameter,
            r#""K""#,
            r#", "nocache" : true ,"z":1"#,
            "removed;action=strip;via=parameter;rule=shop",
            r#""K""#,
            r#" ,"z":1"#,
        ),
        (
            Strip,
            Parameter,
            r#""K__nocache__m""#,
            r#","nocache":1"#,
            "removed;action=strip;via=parameter;rule=shop",
            r#""K__m""#,
            "",
        ),
        (
            Strip,
            Parameter,
            r#""K__m__nocache""#,
            "",
            "removed;action=strip;via=key;rule=shop",
            r#""K__m""#,
            "",
        ),
        (
            Strip,
            Parameter,
            r#""K""#,
            r#","nocache":false"#,
            "kept;action=strip;rule=shop;reason=already-off",
            r#""K""#,
            r#","nocache":false"#,
        ),
        (
            Strip,
            Parameter,
            r#""K""#,
            r#","nocache":null"#,
            "kept;action=strip;rule=shop;reason=already-off",
            r#""K""#,
            r#","nocache":null"#,
        ),
        (
            Strip,
            Parameter,
            r#""K""#,
            "",
            "kept;action=strip;rule=shop;reason=already-off",
            r#""K""#,
            "",
        ),
        (
            Keep,
            Parameter,
            r#""K""#,
            r#","nocache":true"#,
            "kept;action=keep;rule=shop;reason=action-keep",
            r#""K""#,
            r#","nocache":true"#,
        ),
    ] {
        let result = create_task(&everywhere(action, via), &body(key, rest));
        assert_eq!(
            result,
            (header.into(), body(key_after, rest_after)),
            "{action} {via} {key} {rest}"
        );
    }
}

#[test]
fn removing_members_leaves_an_object() {
    let rules = everywhere(Action::Strip, Via::Parameter);
    for (task, expected) in [
        (
            r#"{"nocache":1,"type":"RecaptchaV2Task","websiteURL":"a.example"}"#,
            r#"{"type":"RecaptchaV2Task","websiteURL":"a.example"}"#,
        ),
        (
            r#"{"nocache":1, "nocache":true ,"type":"RecaptchaV2Task","websiteURL":"a.example","nocache":1}"#,
            r#"{"type":"RecaptchaV2Task","websiteURL":"a.example"}"#,
        ),
        (
            r#"{"type":"RecaptchaV2Task","nocache":0,"nocache":1,"websiteURL":"a.example"}"#,
            r#"{"type":"RecaptchaV2Task","websiteURL":"a.example"}"#,
        ),
    ] {
        let body = format!(r#"{{"task":{task}}}"#);
        assert_eq!(
            create_task(&rules, &body).1,
            format!(r#"{{"task":{expected}}}"#),
            "{task}"
        );
    }
}

#[test]
fn legacy_parameters_go_to_the_end() {
    let rules = RuleSet::default();
    let vendors = "/in.php?key=K&method=userrecaptcha&googlekey=s&pageurl=https://a.example/v2.php?level=high";
    assert_eq!(in_php(&rules, vendors), (SET.into(), format!("{vendors}&nocache=1")));

    for (target, content_type, body, target_after, body_after) in [
        (
            "/in.php",
            None,
            "key=K&method=userrecaptcha&pageurl=a.example",
            "/in.php",
            "key=K&method=userrecaptcha&pageurl=a.example&nocache=1",
        ),
        (
            "/in.php?method=userrecaptcha",
            None,
            "key=K&pageurl=a.example",
            "/in.php?method=userrecaptcha&nocache=1",
            "key=K&pageurl=a.example",
        ),
        (
            "/in.php?key=K",
            None,
            "method=userrecaptcha&pageurl=a.example",
            "/in.php?key=K",
            "method=userrecaptcha&pageurl=a.example&nocache=1",
        ),
        (
            "/in.php",
            None,
            r#"{"key":"K","method":"userrecaptcha","pageurl":"a.example"}"#,
            "/in.php",
            r#"{"key":"K","method":"userrecaptcha","pageurl":"a.example","nocache":1}"#,
        ),
        (
            "/in.php",
            Some("multipart/form-data; boundary=\"Upload----11/23/2025 08:24:00\""),
            "--Upload----11/23/2025 08:24:00\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=method\r\n\r\nuserrecaptcha\r\n--Upload----11/23/2025 08:24:00\r\nContent-Disposition: form-data; name=pageurl\r\n\r\na.example\r\n--Upload----11/23/2025 08:24:00--\r\n",
            "/in.php",
            "--Upload----11/23/2025 08:24:00\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=method\r\n\r\nuserrecaptcha\r\n--Upload----11/23/2025 08:24:00\r\nContent-Disposition: form-data; name=pageurl\r\n\r\na.example\r\n--Upload----11/23/2025 08:24:00\r\nContent-Disposition: form-data; name=\"nocache\"\r\n\r\n1\r\n--Upload----11/23/2025 08:24:00--\r\n",
        ),
    ] {
        let request = Request {
            target,
            content_type: content_type.map(str::as_bytes),
            body: body.as_bytes(),
        };
        assert_eq!(
            run(&rules, Dialect::Legacy, request),
            (SET.into(), target_after.into(), body_after.into())
        );
    }
}

#[test]
fn legacy_requests_that_stay_as_they_are() {
    let rules = RuleSet::default();
    for (query, header) in [
        ("key=K&method=base64&body=AAAA", NOT_COVERED),
        ("key=K&method=turnstile&pageurl=a.example", NOT_COVERED),
        (
            "key=K&method=userrecaptcha&version=v3&enterprise=1&pageurl=a.example",
            NOT_COVERED,
        ),
        ("key=K", NOT_COVERED),
        ("key=K&method=userrecaptcha", "skipped;reason=no-site"),
        ("key=K&method=userrecaptcha&method=base64", "skipped;reason=ambiguous"),
        (
            "key=K__nocache&method=userrecaptcha&pageurl=a.example",
            "kept;action=add;rule=default;reason=already-on",
        ),
        (
            "key=K&nocache=1&method=userrecaptcha&pageurl=a.example",
            "kept;action=add;rule=default;reason=already-on",
        ),
        (
            "key=K&nocache=&method=userrecaptcha&pageurl=a.example",
            "kept;action=add;rule=default;reason=client-said-off",
        ),
        (
            "key=K&nocache&method=userrecaptcha&pageurl=a.example",
            "kept;action=add;rule=default;reason=client-said-off",
        ),
    ] {
        let target = format!("/in.php?{query}");
        assert_eq!(in_php(&rules, &target), (header.into(), target.clone()));
    }
}

#[test]
fn each_action_on_legacy_parameters() {
    use Action::{Add, Force, Strip};
    use Via::{Key, Parameter};
    let tail = "method=userrecaptcha&pageurl=a.example";
    for (action, via, before, after) in [
        (Add, Key, format!("key=K&{tail}"), format!("key=K__nocache&{tail}")),
        (
            Force,
            Parameter,
            format!("nocache=0&{tail}"),
            format!("nocache=1&{tail}"),
        ),
        (
            Force,
            Key,
            format!("nocache&key=K&{tail}"),
            format!("nocache=1&key=K&{tail}"),
        ),
        (Strip, Parameter, format!("nocache=1&{tail}"), tail.to_owned()),
        (Strip, Parameter, format!("{tail}&nocache=1"), tail.to_owned()),
        (Strip, Parameter, format!("a&&nocache=1&&{tail}"), format!("a&&&{tail}")),
        (
            Strip,
            Parameter,
            format!("key=K%5f_NOCACHE&{tail}"),
            format!("key=K&{tail}"),
        ),
    ] {
        let (header, target) = in_php(&everywhere(action, via), &format!("/in.php?{before}"));
        assert_eq!(target, format!("/in.php?{after}"), "{action} {via} {header}");
    }
}

#[test]
fn small_print_8_a_deny_fails_closed() {
    let deny = rules(rule("=www.x.example", Action::Deny, Via::Parameter));
    let header = |body: &str| create_task(&deny, body).0;
    let refused = "denied;reason=unreadable";
    for (body, expected) in [
        (
            r#"{"task":{"type":"TurnstileTask","websiteURL":"www.x.example"}}"#,
            "denied;action=deny;rule=shop;reason=action-deny",
        ),
        (r#"{"task":{"type":"RecaptchaV2Task","websiteURL":"x.example"}}"#, SET),
        ("{", refused),
        ("{}", refused),
        (r#"{"task":{},"task":{}}"#, refused),
        (r#"{"task":{}}"#, refused),
        (r#"{"task":{"type":5}}"#, refused),
        (r#"{"task":{"type":"RecaptchaV2Task"}}"#, refused),
        (r#"{"task":{"type":"RecaptchaV2Task","websiteURL":[]}}"#, refused),
        (
            r#"{"task":{"type":"RecaptchaV3Task","isEnterprise":true,"isEnterprise":false,"websiteURL":"a.example"}}"#,
            refused,
        ),
        (r#"{"task":{"type":"ImageToTextTask"}}"#, "skipped;reason=no-site"),
    ] {
        assert_eq!(header(body), expected, "{body}");
    }

    let all = rules(rule("*", Action::Deny, Via::Parameter));
    assert_eq!(
        create_task(&all, r#"{"task":{"type":"ImageToTextTask"}}"#).0,
        "denied;action=deny;rule=shop;reason=action-deny"
    );

    let open = RuleSet::new(
        vec![rule("=www.x.example", Action::Deny, Via::Parameter)],
        Rule::built_in_default(),
        Some(Unreadable::Forward),
        CaptchaNames::default(),
    );
    assert_eq!(create_task(&open, "{").0, "skipped;reason=unreadable");
}

#[test]
fn enterprise_is_covered_once_a_rule_names_it() {
    let mut rule = rule("a.example", Action::Add, Via::Parameter);
    rule.captchas = vec![CaptchaPattern::Kind(submission::Kind::RecaptchaV3Enterprise)];
    let rules = rules(rule);
    let body = |enterprise: &str| {
        format!(
            r#"{{"task":{{"type":"RecaptchaV3TaskProxyless","isEnterprise":{enterprise},"websiteURL":"a.example"}}}}"#
        )
    };
    for on in ["true", "1", r#""true""#, r#""1""#] {
        assert_eq!(
            create_task(&rules, &body(on)).0,
            "set;action=add;via=parameter;rule=shop",
            "{on}"
        );
    }
    for off in ["false", "0", "null", r#""yes""#, "{}"] {
        assert_eq!(create_task(&rules, &body(off)).0, SET, "{off}");
    }
}

#[test]
fn small_print_2_what_is_off() {
    let add = everywhere(Action::Add, Via::Parameter);
    let force = everywhere(Action::Force, Via::Parameter);
    let body =
        |value: &str| format!(r#"{{"task":{{"type":"RecaptchaV2Task","websiteURL":"a.example","nocache":{value}}}}}"#);
    for off in [
        "false",
        "0",
        r#""false""#,
        r#""0""#,
        r#""""#,
        "2",
        "1.0",
        r#""TRUE""#,
        "[]",
        "{}",
    ] {
        assert_eq!(
            create_task(&add, &body(off)).0,
            "kept;action=add;rule=shop;reason=client-said-off",
            "{off}"
        );
        assert_eq!(create_task(&force, &body(off)).1, body("true"), "{off}");
    }
    for on in ["true", "1", r#""true""#, r#""1""#] {
        assert_eq!(
            create_task(&add, &body(on)).0,
            "kept;action=add;rule=shop;reason=already-on",
            "{on}"
        );
    }
    assert_eq!(create_task(&add, &body("null")).1, body("true"), "null says nothing");
    let target = "/in.php?method=userrecaptcha&pageurl=a.example&nocache=";
    assert_eq!(
        in_php(&add, target).0,
        "kept;action=add;rule=shop;reason=client-said-off"
    );
}

#[test]
fn small_print_3_strip_leaves_an_explicit_off() {
    let strip = everywhere(Action::Strip, Via::Parameter);
    let beside =
        r#"{"clientKey":"K__nocache","task":{"type":"RecaptchaV2Task","websiteURL":"a.example","nocache":null}}"#;
    assert_eq!(
        create_task(&strip, beside),
        (
            "removed;action=strip;via=key;rule=shop".into(),
            beside.replace("__nocache", "")
        )
    );
    for value in ["false", "null", r#""""#] {
        let body = format!(r#"{{"task":{{"type":"RecaptchaV2Task","websiteURL":"a.example","nocache":{value}}}}}"#);
        assert_eq!(
            create_task(&strip, &body),
            ("kept;action=strip;rule=shop;reason=already-off".into(), body.clone())
        );
    }
}

#[test]
fn small_print_4_the_parameter_is_closer_than_the_key() {
    let body =
        r#"{"clientKey":"K__nocache","task":{"type":"RecaptchaV2Task","websiteURL":"a.example","nocache":false}}"#;
    assert_eq!(
        create_task(&everywhere(Action::Add, Via::Key), body),
        ("kept;action=add;rule=shop;reason=client-said-off".into(), body.into())
    );
    assert_eq!(
        create_task(&everywhere(Action::Force, Via::Key), body),
        (
            "set;action=force;via=parameter;rule=shop".into(),
            body.replace("false", "true")
        )
    );
}

#[test]
fn small_print_7_reasons_are_tried_in_order() {
    let rules = RuleSet::default();
    // Each body has the flaws of all that follow it as well.
    for (body, reason) in [
        (r#"{"x":[{"type":"#, "unreadable"),
        (r#"{"x":1}"#, "no-task"),
        (r#"{"task":{"type":"TurnstileTask","type":"x"}}"#, "ambiguous"),
        (r#"{"task":{"type":"TurnstileTask"}}"#, "captcha-not-covered"),
        (r#"{"task":{"type":"RecaptchaV2Task"}}"#, "no-site"),
        (
            r#"{"task":{"type":"RecaptchaV2Task","websiteURL":"ftp://x"}}"#,
            "bad-site",
        ),
    ] {
        assert_eq!(
            create_task(&rules, body).0,
            format!("skipped;reason={reason}"),
            "{body}"
        );
    }
    let encoded = plan(&Err(Unread::EncodingUnknown), &rules).outcome.to_string();
    assert_eq!(encoded, "skipped;reason=encoding-unknown");
}

#[test]
fn small_print_11_via_key_without_a_string_key_falls_back() {
    let rules = everywhere(Action::Add, Via::Key);
    // Behind an underscore the suffix would be no segment.
    for key in ["5", "null", r#""""#, "[]", r#""K_""#, r#""K\u005f""#] {
        let body = format!(r#"{{"clientKey":{key},"task":{{"type":"RecaptchaV2Task","websiteURL":"a.example"}}}}"#);
        assert_eq!(
            create_task(&rules, &body).0,
            "set;action=add;via=parameter;rule=shop",
            "{key}"
        );
    }
    let target = "/in.php?method=userrecaptcha&pageurl=a.example";
    assert_eq!(
        in_php(&rules, target),
        (
            "set;action=add;via=parameter;rule=shop".into(),
            format!("{target}&nocache=1")
        )
    );
}

#[test]
fn small_print_13_types_and_sites_that_are_none() {
    let open = RuleSet::default();
    let closed = rules(rule("=x.example", Action::Deny, Via::Parameter));
    for (body, reason) in [
        ("", "unreadable"),
        (r#"{"task":{"websiteURL":"a.example"}}"#, "captcha-not-covered"),
        (r#"{"task":{"type":7,"websiteURL":"a.example"}}"#, "captcha-not-covered"),
        (r#"{"task":{"type":"RecaptchaV2Task","websiteURL":null}}"#, "no-site"),
        (r#"{"task":{"type":"RecaptchaV2Task","websiteURL":""}}"#, "no-site"),
        (r#"{"task":{"type":"RecaptchaV2Task","websiteURL":{}}}"#, "bad-site"),
    ] {
        assert_eq!(create_task(&open, body).0, format!("skipped;reason={reason}"), "{body}");
        assert_eq!(create_task(&closed, body).0, "denied;reason=unreadable", "{body}");
    }
}

#[test]
fn small_print_16_doubt_that_a_deny_configuration_refuses() {
    let open = RuleSet::default();
    let closed = rules(rule("=x.example", Action::Deny, Via::Parameter));
    let legacy = |rules: &RuleSet, query: &str| in_php(rules, &format!("/in.php?key=K&{query}")).0;
    let tail = "method=userrecaptcha&pageurl=a.example";
    for query in [
        format!("{tail}&version=v2&version=v3"),
        format!("{tail}&enterprise=0&enterprise=1"),
        format!("a=b;pageurl=x.example&{tail}"),
        format!("{tail};x=y"),
        format!("{tail}&a=;version=v3"),
    ] {
        assert_eq!(legacy(&closed, &query), "denied;reason=unreadable", "{query}");
        assert_ne!(legacy(&open, &query), "denied;reason=unreadable", "{query}");
    }
    for query in [
        format!("{tail}&a=b;c=d"),
        format!("{tail}&version=v2&version=v2"),
        format!("data=;;&{tail}"),
    ] {
        assert_eq!(legacy(&closed, &query), SET, "{query}");
    }
    for (body, is_doubtful) in [
        (
            r#"{"task":{"type":"RecaptchaV3Task","isEnterprise":false,"isenterprise":false,"websiteURL":"a.example"}}"#,
            true,
        ),
        (
            r#"{"clientKey":"a","clientKey":"b","task":{"type":"RecaptchaV3Task","websiteURL":"a.example"}}"#,
            false,
        ),
    ] {
        assert_eq!(
            create_task(&closed, body).0 == "denied;reason=unreadable",
            is_doubtful,
            "{body}"
        );
        assert_eq!(create_task(&open, body).0, SET, "{body}");
    }
}

#[test]
fn legacy_place_can_force_the_url() {
    let rules = RuleSet::default().with_legacy_place(LegacyPlace::Query);
    for (target, expected) in [
        ("/in.php", "/in.php?nocache=1"),
        ("/in.php?", "/in.php?nocache=1"),
        ("/in.php?key=K", "/in.php?key=K&nocache=1"),
    ] {
        let body = "method=userrecaptcha&pageurl=a.example";
        let request = Request {
            target,
            content_type: None,
            body: body.as_bytes(),
        };
        assert_eq!(
            run(&rules, Dialect::Legacy, request),
            (SET.into(), expected.into(), body.into())
        );
    }
}
