use super::{edit::revert, *};
use crate::{
    rules::{Action, CaptchaPattern, LegacyPlace, Rule, RuleSet, Unreadable, Via},
    submission::{self, CaptchaNames, Dialect, Part, Request, Unread, plain_shape::Sent},
};

mod law;

/// Reads, decides and applies, as the gateway does: the header, and what of the request went upstream.
fn run(rules: &RuleSet, dialect: Dialect, request: Request<'_>) -> (String, String, String) {
    let sent = Sent {
        content_types: &request.content_type.into_iter().collect::<Vec<_>>(),
        ..Sent::usual(dialect, request.body)
    };
    let plan = plan(&read(dialect, request, &sent, rules), rules);
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

/// The cases of a table, one a line, its columns between bars. The first line names the columns; blank is nothing.
fn table<const COLUMNS: usize>(text: &str) -> impl Iterator<Item = [&str; COLUMNS]> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.skip(1).map(|line| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let columns = columns.try_into();
        columns.unwrap_or_else(|_| panic!("{COLUMNS} columns expected: {line}"))
    })
}

/// Part of a request before and after its edits, from one text: `{-what is removed-}`, `{+what is inserted+}`. `…` stands
/// for the members that make a task one that the default rule covers.
fn edited(text: &str) -> (String, String) {
    let text = text.replace('…', r#""type":"RecaptchaV2Task","websiteURL":"a.example""#);
    (
        without(&text, "{+", "+}").replace("{-", "").replace("-}", ""),
        without(&text, "{-", "-}").replace("{+", "").replace("+}", ""),
    )
}

/// The text without what stands between the marks, and without them.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut pieces = text.split(open);
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |kept, piece| {
        let (_, after) = piece
            .split_once(close)
            .unwrap_or_else(|| panic!("{open} without {close}: {text}"));
        kept + after
    })
}

#[test]
fn nocache_is_the_last_member_of_the_task() {
    let rules = RuleSet::default();
    let over_lines = r#"{
    "clientKey": "K",
    "task": {
        "type": "RecaptchaV2Task",
        "websiteURL": "https://a.example/"{+,"nocache":true+}
    }
}
"#;
    let over_lines = format!("\u{feff}{}", over_lines.replace("    ", "\t").replace('\n', "\r\n"));
    let (body, expected) = edited(&over_lines);
    assert_eq!(create_task(&rules, &body), (SET.into(), expected));

    for [body] in table(
        r#"
        body
        {"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://a.example/","websiteKey":"s"{+,"nocache":true+}}}
        {"x":[12345678901234567890,1.0,1e400,[],"\/\u00e9"],"task":{"n":-0.0,"type":"RecaptchaV3TaskProxyless","websiteURL":"a.example","y":{}{+,"nocache":true+}},"clientKey":"K"}
        {"t\u0061sk":{"typ\u0065":"RecaptchaV2Task","websiteURL":"https:\/\/a.example\/"{+,"nocache":true+}}}
        {"task":{"type":"RecaptchaV2Task","nocache":{-null-}{+true+},"websiteURL":"a.example"}}
        {"task":{"type":"NoCaptchaTaskProxyless","websiteURL":"a.example"{+,"nocache":true+}}}
        {"task":{"type":"RecaptchaV2TaskProxyless","websiteURL":"a.example"{+,"nocache":true+}}}
        {"task":{"type":"ReCaptchaV3TaskProxyLess","websiteURL":"a.example"{+,"nocache":true+}}}
        {"task":{"type":"recaptchav2task","websiteURL":"a.example"{+,"nocache":true+}}}
        "#,
    ) {
        let (body, expected) = edited(body);
        assert_eq!(create_task(&rules, &body), (SET.into(), expected));
    }
}

#[test]
fn what_is_not_to_be_changed_is_not() {
    let rules = RuleSet::default();
    for [decision, body] in table(
        r#"
        decision                                            | body
        kept;action=add;rule=default;reason=already-on      | {"clientKey":"K","task":{…,"nocache":true}}
        kept;action=add;rule=default;reason=already-on      | {"clientKey":"K","task":{…,"nocache":1}}
        kept;action=add;rule=default;reason=already-on      | {"clientKey":"K","task":{…,"nocache":"true"}}
        kept;action=add;rule=default;reason=already-on      | {"clientKey":"K","task":{…,"nocache":"1"}}
        kept;action=add;rule=default;reason=already-on      | {"clientKey":"K","task":{…,"NoCache":false,"nocache":true}}
        kept;action=add;rule=default;reason=already-on      | {"clientKey":"K__nocache","task":{…}}
        kept;action=add;rule=default;reason=already-on      | {"clientKey":"K__module__x__NoCache","task":{…}}
        kept;action=add;rule=default;reason=client-said-off | {"clientKey":"K","task":{…,"nocache":false}}
        kept;action=add;rule=default;reason=client-said-off | {"clientKey":"K","task":{…,"nocache":"maybe"}}
        skipped;reason=captcha-not-covered                  | {"task":{"type":"RecaptchaV3TaskProxyless","isEnterprise":true,"websiteURL":"a.example"}}
        skipped;reason=captcha-not-covered                  | {"task":{"type":"RecaptchaV2EnterpriseTask","websiteURL":"a.example"}}
        skipped;reason=captcha-not-covered                  | {"task":{"type":"TurnstileTask","websiteURL":"a.example"}}
        skipped;reason=captcha-not-covered                  | {"task":{"type":"ImageToTextTask","body":"AAAA"}}
        skipped;reason=captcha-not-covered                  | {"task":{"type":"ComplexImageTask","class":"recaptcha","websiteURL":"a.example"}}
        skipped;reason=captcha-not-covered                  | {"task":{"type":"RecaptchaClickTask","websiteURL":"a.example"}}
        skipped;reason=unreadable                           | {"task":{
        skipped;reason=unreadable                           |
        skipped;reason=no-task                              | {"task":[]}
        skipped;reason=captcha-not-covered                  | {"task":{}}
        skipped;reason=ambiguous                            | {"task":{},"TASK":{}}
        skipped;reason=no-site                              | {"task":{"type":"RecaptchaV2Task"}}
        skipped;reason=no-site                              | {"task":{"type":"RecaptchaV2Task","websiteURL":""}}
        skipped;reason=no-site                              | {"task":{"type":"RecaptchaV2Task","websiteURL":null}}
        skipped;reason=bad-site                             | {"task":{"type":"RecaptchaV2Task","websiteURL":5}}
        skipped;reason=bad-site                             | {"task":{"type":"RecaptchaV2Task","websiteURL":"ftp://a.example"}}
        "#,
    ) {
        let (body, same) = edited(body);
        assert_eq!(create_task(&rules, &body), (decision.into(), same));
    }
}

#[test]
fn each_action_on_each_word_of_a_task() {
    for [action, via, decision, body] in table(
        r#"
        action | via       | decision                                         | body
        add    | parameter | set;action=add;via=parameter;rule=shop           | {"clientKey":"K","task":{…{+,"nocache":true+}}}
        add    | key       | set;action=add;via=key;rule=shop                 | {"clientKey":"K{+__nocache+}","task":{…}}
        add    | key       | set;action=add;via=key;rule=shop                 | {"clientKey":"K__a_b{+__nocache+}","task":{…}}
        add    | key       | set;action=add;via=parameter;rule=shop           | {"clientKey":5,"task":{…{+,"nocache":true+}}}
        add    | key       | set;action=add;via=parameter;rule=shop           | {"clientKey":"","task":{…{+,"nocache":true+}}}
        add    | parameter | kept;action=add;rule=shop;reason=client-said-off | {"clientKey":"K__nocache","task":{…,"nocache":false}}
        force  | parameter | set;action=force;via=parameter;rule=shop         | {"clientKey":"K","task":{…,"nocache":{-false-}{+true+}}}
        force  | key       | set;action=force;via=parameter;rule=shop         | {"clientKey":"K","task":{…,"nocache": {-0-}{+true+} }}
        force  | key       | set;action=force;via=key;rule=shop               | {"clientKey":"K{+__nocache+}","task":{…}}
        force  | parameter | set;action=force;via=parameter;rule=shop         | {"clientKey":"K","task":{…,"nocache":{-"FALSE"-}{+true+},"nocache":{-[]-}{+true+}}}
        force  | parameter | kept;action=force;rule=shop;reason=already-on    | {"clientKey":"K","task":{…,"nocache":true,"nocache":[]}}
        add    | parameter | kept;action=add;rule=shop;reason=already-on      | {"clientKey":"K","task":{…,"nocache":0,"nocache":"True","nocache":"maybe"}}
        strip  | parameter | removed;action=strip;via=parameter;rule=shop     | {"clientKey":"K","task":{…{-,"nocache":"TRUE"-}{-,"nocache":2-}}}
        force  | parameter | kept;action=force;rule=shop;reason=already-on    | {"clientKey":"K__nocache","task":{…}}
        strip  | parameter | removed;action=strip;via=parameter;rule=shop     | {"clientKey":"K","task":{…{-, "nocache" : true-} ,"z":1}}
        strip  | parameter | removed;action=strip;via=parameter;rule=shop     | {"clientKey":"K{-__nocache-}__m","task":{…{-,"nocache":1-}}}
        strip  | parameter | removed;action=strip;via=key;rule=shop           | {"clientKey":"K__m{-__nocache-}","task":{…}}
        strip  | parameter | kept;action=strip;rule=shop;reason=already-off   | {"clientKey":"K","task":{…,"nocache":false}}
        strip  | parameter | kept;action=strip;rule=shop;reason=already-off   | {"clientKey":"K","task":{…,"nocache":null}}
        strip  | parameter | kept;action=strip;rule=shop;reason=already-off   | {"clientKey":"K","task":{…}}
        keep   | parameter | kept;action=keep;rule=shop;reason=action-keep    | {"clientKey":"K","task":{…,"nocache":true}}
        "#,
    ) {
        let rules = everywhere(action.parse().unwrap(), via.parse().unwrap());
        let (body, expected) = edited(body);
        let result = create_task(&rules, &body);
        assert_eq!(result, (decision.into(), expected), "{action} {via} {body}");
    }
}

#[test]
fn removing_members_leaves_an_object() {
    let rules = everywhere(Action::Strip, Via::Parameter);
    for [body] in table(
        r#"
        body
        {"task":{{-"nocache":1,-}…}}
        {"task":{{-"nocache":1, "nocache":true ,-}…{-,"nocache":1-}}}
        {"task":{"type":"RecaptchaV2Task"{-,"nocache":0,"nocache":1-},"websiteURL":"a.example"}}
        "#,
    ) {
        let (body, expected) = edited(body);
        assert_eq!(create_task(&rules, &body).1, expected, "{body}");
    }
}

#[test]
fn legacy_parameters_go_to_the_end() {
    let rules = RuleSet::default();
    let check = |target: &str, content_type: Option<&str>, body: &str| {
        let (target, target_after) = edited(target);
        let (body, body_after) = edited(body);
        let request = Request {
            target: &target,
            content_type: content_type.map(str::as_bytes),
            body: body.as_bytes(),
        };
        assert_eq!(
            run(&rules, Dialect::Legacy, request),
            (SET.into(), target_after, body_after)
        );
    };
    for [target, body] in table(
        r#"
        target                                     | body
        /in.php                                    | key=K&method=userrecaptcha&pageurl=a.example{+&nocache=1+}
        /in.php?method=userrecaptcha{+&nocache=1+} | key=K&pageurl=a.example
        /in.php?key=K                              | method=userrecaptcha&pageurl=a.example{+&nocache=1+}
        /in.php                                    | {"key":"K","method":"userrecaptcha","pageurl":"a.example"{+,"nocache":1+}}
        "#,
    ) {
        check(target, None, body);
    }
    let vendors =
        "/in.php?key=K&method=userrecaptcha&googlekey=s&pageurl=https://a.example/v2.php?level=high{+&nocache=1+}";
    check(vendors, None, "");
    let multipart = r#"--Upload----11/23/2025 08:24:00
Content-Type: text/plain; charset=utf-8
Content-Disposition: form-data; name=method

userrecaptcha
--Upload----11/23/2025 08:24:00
Content-Disposition: form-data; name=pageurl

a.example
{+--Upload----11/23/2025 08:24:00
Content-Disposition: form-data; name="nocache"

1
+}--Upload----11/23/2025 08:24:00--
"#;
    check(
        "/in.php",
        Some(r#"multipart/form-data; boundary="Upload----11/23/2025 08:24:00""#),
        &multipart.replace('\n', "\r\n"),
    );
}

#[test]
fn legacy_requests_that_stay_as_they_are() {
    let rules = RuleSet::default();
    for [decision, query] in table(
        r#"
        decision                                            | query
        skipped;reason=captcha-not-covered                  | key=K&method=base64&body=AAAA
        skipped;reason=captcha-not-covered                  | key=K&method=turnstile&pageurl=a.example
        skipped;reason=captcha-not-covered                  | key=K&method=userrecaptcha&version=v3&enterprise=1&pageurl=a.example
        skipped;reason=captcha-not-covered                  | key=K
        skipped;reason=no-site                              | key=K&method=userrecaptcha
        skipped;reason=ambiguous                            | key=K&method=userrecaptcha&method=base64
        kept;action=add;rule=default;reason=already-on      | key=K__nocache&method=userrecaptcha&pageurl=a.example
        kept;action=add;rule=default;reason=already-on      | key=K&nocache=1&method=userrecaptcha&pageurl=a.example
        kept;action=add;rule=default;reason=client-said-off | key=K&nocache=&method=userrecaptcha&pageurl=a.example
        kept;action=add;rule=default;reason=client-said-off | key=K&nocache&method=userrecaptcha&pageurl=a.example
        "#,
    ) {
        let target = format!("/in.php?{query}");
        assert_eq!(in_php(&rules, &target), (decision.into(), target.clone()));
    }
}

#[test]
fn each_action_on_legacy_parameters() {
    for [action, via, query] in table(
        r#"
        action | via       | query
        add    | key       | key=K{+__nocache+}&method=userrecaptcha&pageurl=a.example
        force  | parameter | nocache={-0-}{+1+}&method=userrecaptcha&pageurl=a.example
        force  | key       | nocache{+=1+}&key=K&method=userrecaptcha&pageurl=a.example
        strip  | parameter | {-nocache=1&-}method=userrecaptcha&pageurl=a.example
        strip  | parameter | method=userrecaptcha&pageurl=a.example{-&nocache=1-}
        strip  | parameter | a&&{-nocache=1&-}&method=userrecaptcha&pageurl=a.example
        strip  | parameter | key=K{-%5f_NOCACHE-}&method=userrecaptcha&pageurl=a.example
        "#,
    ) {
        let rules = everywhere(action.parse().unwrap(), via.parse().unwrap());
        let (target, expected) = edited(&format!("/in.php?{query}"));
        let (header, target) = in_php(&rules, &target);
        assert_eq!(target, expected, "{action} {via} {header}");
    }
}

#[test]
fn a_deny_fails_closed() {
    let deny = rules(rule("=www.x.example", Action::Deny, Via::Parameter));
    for [decision, body] in table(
        r#"
        decision                                        | body
        denied;action=deny;rule=shop;reason=action-deny | {"task":{"type":"TurnstileTask","websiteURL":"www.x.example"}}
        set;action=add;via=parameter;rule=default       | {"task":{"type":"RecaptchaV2Task","websiteURL":"x.example"}}
        denied;reason=unreadable                        | {
        denied;reason=unreadable                        | {}
        denied;reason=unreadable                        | {"task":{},"task":{}}
        denied;reason=unreadable                        | {"task":{}}
        denied;reason=unreadable                        | {"task":{"type":5}}
        denied;reason=unreadable                        | {"task":{"type":"RecaptchaV2Task"}}
        denied;reason=unreadable                        | {"task":{"type":"RecaptchaV2Task","websiteURL":[]}}
        denied;reason=unreadable                        | {"task":{"type":"RecaptchaV3Task","isEnterprise":true,"isEnterprise":false,"websiteURL":"a.example"}}
        skipped;reason=no-site                          | {"task":{"type":"ImageToTextTask"}}
        "#,
    ) {
        assert_eq!(create_task(&deny, body).0, decision, "{body}");
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
    for on in r#"true 1 "true" "True" "TRUE" "1""#.split(' ') {
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
fn what_is_off() {
    let add = everywhere(Action::Add, Via::Parameter);
    let force = everywhere(Action::Force, Via::Parameter);
    let body =
        |value: &str| format!(r#"{{"task":{{"type":"RecaptchaV2Task","websiteURL":"a.example","nocache":{value}}}}}"#);
    for off in r#"false 0 "false" "False" "FALSE" "0" "" 2 1.0 "maybe" [] {}"#.split(' ') {
        assert_eq!(
            create_task(&add, &body(off)).0,
            "kept;action=add;rule=shop;reason=client-said-off",
            "{off}"
        );
        assert_eq!(create_task(&force, &body(off)).1, body("true"), "{off}");
    }
    for on in r#"true 1 "true" "True" "TRUE" "1""#.split(' ') {
        assert_eq!(
            create_task(&add, &body(on)).0,
            "kept;action=add;rule=shop;reason=already-on",
            "{on}"
        );
    }
    assert_eq!(create_task(&add, &body("null")).1, body("true"), "null says nothing");
}

#[test]
fn an_odd_legacy_word_says_nothing() {
    let edited = |query: &str| {
        edited(&format!(
            "/in.php?method=userrecaptcha&pageurl=https://a.example/{query}"
        ))
    };
    for [action, decision, query] in table(
        r#"
        action | decision                                         | query
        add    | kept;action=add;rule=shop;reason=client-said-off | &nocache=
        add    | kept;action=add;rule=shop;reason=client-said-off | &nocache
        add    | kept;action=add;rule=shop;reason=client-said-off | &nocache=False
        add    | kept;action=add;rule=shop;reason=already-on      | &nocache=True
        add    | kept;action=add;rule=shop;reason=already-on      | &nocache=0&nocache=TRUE&nocache=maybe
        add    | kept;action=add;rule=shop;reason=client-said-off | ?a&nocache=17&nocache=0
        add    | set;action=add;via=parameter;rule=shop           | ?a=b&nocache=1732540000123{+&nocache=1+}
        force  | set;action=force;via=parameter;rule=shop         | ?a=b&nocache=1732540000123&key=K{+&nocache=1+}
        force  | set;action=force;via=parameter;rule=shop         | ?a=b&nocache=17&nocache={-0-}{+1+}
        strip  | kept;action=strip;rule=shop;reason=already-off   | ?a=b&nocache=17
        strip  | removed;action=strip;via=parameter;rule=shop     | ?a=b&nocache=17{-&nocache=1-}
        strip  | removed;action=strip;via=key;rule=shop           | ?a=b&nocache=17&key=K{-__nocache-}
        "#,
    ) {
        let rules = everywhere(action.parse().unwrap(), Via::Parameter);
        let (target, expected) = edited(query);
        assert_eq!(in_php(&rules, &target), (decision.into(), expected), "{query}");
    }
    let json = r#"{"method":"userrecaptcha","pageurl":"a.example","nocache":"maybe"}"#;
    let request = Request {
        target: "/in.php?nocache=2",
        content_type: None,
        body: json.as_bytes(),
    };
    let (decision, ..) = run(&everywhere(Action::Add, Via::Parameter), Dialect::Legacy, request);
    assert_eq!(decision, "kept;action=add;rule=shop;reason=client-said-off");
}

#[test]
fn strip_leaves_an_explicit_off() {
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
fn the_parameter_is_closer_than_the_key() {
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
fn reasons_are_tried_in_order() {
    let rules = RuleSet::default();
    // Each body has the flaws of all that follow it as well.
    for [reason, body] in table(
        r#"
        reason              | body
        unreadable          | {"x":[{"type":
        no-task             | {"x":1}
        ambiguous           | {"task":{"type":"TurnstileTask","type":"x"}}
        captcha-not-covered | {"task":{"type":"TurnstileTask"}}
        no-site             | {"task":{"type":"RecaptchaV2Task"}}
        bad-site            | {"task":{"type":"RecaptchaV2Task","websiteURL":"ftp://x"}}
        "#,
    ) {
        let decision = format!("skipped;reason={reason}");
        assert_eq!(create_task(&rules, body).0, decision, "{body}");
    }
    let encoded = plan(&Err(Unread::EncodingUnknown), &rules).outcome.to_string();
    assert_eq!(encoded, "skipped;reason=encoding-unknown");
}

#[test]
fn via_key_without_a_string_key_falls_back() {
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
fn types_and_sites_that_are_none() {
    let open = RuleSet::default();
    let closed = rules(rule("=x.example", Action::Deny, Via::Parameter));
    for [reason, body] in table(
        r#"
        reason              | body
        unreadable          |
        captcha-not-covered | {"task":{"websiteURL":"a.example"}}
        captcha-not-covered | {"task":{"type":7,"websiteURL":"a.example"}}
        no-site             | {"task":{"type":"RecaptchaV2Task","websiteURL":null}}
        no-site             | {"task":{"type":"RecaptchaV2Task","websiteURL":""}}
        bad-site            | {"task":{"type":"RecaptchaV2Task","websiteURL":{}}}
        "#,
    ) {
        assert_eq!(create_task(&open, body).0, format!("skipped;reason={reason}"), "{body}");
        assert_eq!(create_task(&closed, body).0, "denied;reason=unreadable", "{body}");
    }
}

#[test]
fn doubt_that_a_deny_configuration_refuses() {
    let open = RuleSet::default();
    let closed = rules(rule("=x.example", Action::Deny, Via::Parameter));
    let legacy = |rules: &RuleSet, query: &str| in_php(rules, &format!("/in.php?key=K&{query}")).0;
    let tail = "method=userrecaptcha&pageurl=a.example";
    for query in [
        format!("{tail}&version=v2&version=v3"),
        format!("{tail}&version=v2&version=v2"),
        format!("{tail}&enterprise=0&enterprise=1"),
        format!("a=b;pageurl=x.example&{tail}"),
        format!("{tail};x=y"),
        format!("{tail}&a=;version=v3"),
        format!("{tail}&a=;enterprise=1"),
        format!("{tail}&a=;method=hcaptcha"),
        format!("{tail}&version=v3;x"),
        format!("{tail}&a=;pageurl="),
        format!("{tail}{}", "&a=;method=userrecaptcha".repeat(300)),
    ] {
        assert_eq!(legacy(&closed, &query), "denied;reason=unreadable", "{query}");
        assert_ne!(legacy(&open, &query), "denied;reason=unreadable", "{query}");
    }
    for query in [
        format!("{tail}&a=b;c=d"),
        format!("data=;;&{tail}"),
        format!("{tail}/x;jsessionid=1?a=b;c"),
        format!("{tail}&a=;pageurl=https://A.EXAMPLE/other;method=userrecaptcha"),
        format!("{tail}&body=data:image/png;base64,{}", "A;".repeat(2_000)),
    ] {
        assert_eq!(legacy(&closed, &query), SET, "{query}");
    }
    for [is_doubtful, body] in table(
        r#"
        is doubtful | body
        true        | {"task":{"type":"RecaptchaV3Task","isEnterprise":false,"isenterprise":false,"websiteURL":"a.example"}}
        false       | {"clientKey":"a","clientKey":"b","task":{"type":"RecaptchaV3Task","websiteURL":"a.example"}}
        "#,
    ) {
        let is_denied = create_task(&closed, body).0 == "denied;reason=unreadable";
        assert_eq!(is_denied.to_string(), is_doubtful, "{body}");
        assert_eq!(create_task(&open, body).0, SET, "{body}");
    }
}

#[test]
fn a_site_is_asked_of_captchas_that_a_deny_covers() {
    let mut only_v2 = rule("=x.example", Action::Deny, Via::Parameter);
    only_v2.captchas = vec![CaptchaPattern::Kind(submission::Kind::RecaptchaV2)];
    let (only_v2, all) = (rules(only_v2), rules(rule("=x.example", Action::Deny, Via::Parameter)));
    for [is_denied_by_v2, is_denied_by_all, kind, site] in table(
        r#"
        by a rule for v2 | by one for all | type            | site
        true             | true           | RecaptchaV2Task | ftp://a.example
        true             | true           | RecaptchaV2Task | https:/a.example
        false            | true           | TurnstileTask   | ftp://a.example
        false            | true           | TurnstileTask   | https:/a.example
        false            | false          | TurnstileTask   | https://a.example
        false            | false          | TurnstileTask   |
        "#,
    ) {
        let body = format!(r#"{{"task":{{"type":"{kind}","websiteURL":"{site}"}}}}"#);
        for (rules, expected) in [(&only_v2, is_denied_by_v2), (&all, is_denied_by_all)] {
            let is_denied = create_task(rules, &body).0 == "denied;reason=unreadable";
            assert_eq!(is_denied.to_string(), expected, "{body}");
        }
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
