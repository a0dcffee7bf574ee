//! What the sandbox serves of 2captcha's protocol beyond the plain cases, which tests/program.rs has.

mod fixtures;

use fixtures::{Message, SandboxServer, exchange, get, post};

/// A sandbox whose tasks 7654321 to 7654323 are a token, a picture, and a token that has never been polled.
fn sandbox() -> SandboxServer {
    let sandbox = SandboxServer::start(&["--polls", "1"]);
    for submission in [
        "/in.php?key=K&method=userrecaptcha&googlekey=g&pageurl=p&nocache=1",
        "/in.php?key=K&method=base64&body=x",
        "/in.php?key=K&method=userrecaptcha&googlekey=g&pageurl=p",
    ] {
        assert!(exchange(sandbox.address, get(submission)).text().starts_with("OK|"));
    }
    for id in [7654321, 7654322] {
        let poll = format!("/res.php?key=K&action=get&id={id}");
        assert_eq!(exchange(sandbox.address, get(&poll)).text(), "CAPCHA_NOT_READY");
    }
    sandbox
}

#[test]
fn get2_says_the_price_and_ids_ask_for_many() {
    let token = "03AGsandbox.7654321.nocache-parameter";
    for (query, expected) in [
        ("action=get2&id=7654321", format!("OK|{token}|0.00299")),
        ("action=GET2&id=7654322", "ERROR_BAD_PARAMETERS".to_owned()),
        ("action=get2&id=7654322", "OK|sandbox|0.00299".to_owned()),
        ("action=get2&id=7654323", "CAPCHA_NOT_READY".to_owned()),
        ("action=get2&id=1", "ERROR_WRONG_CAPTCHA_ID".to_owned()),
        (
            "action=get2&id=7654321&json=1",
            format!(r#"{{"price":"0.00299","request":"{token}","status":1}}"#),
        ),
        (
            "action=get2&id=7654323&json=1",
            r#"{"request":"CAPCHA_NOT_READY","status":0}"#.to_owned(),
        ),
        (
            "action=get&ids=7654321,7654322,7654323",
            format!("{token}|sandbox|CAPCHA_NOT_READY"),
        ),
        ("action=get&ids=7654321", token.to_owned()),
        ("action=get&ids=7654321,%201", format!("{token}|ERROR_WRONG_CAPTCHA_ID")),
        (
            "action=get&ids=7654321,x,",
            format!("{token}|ERROR_WRONG_ID_FORMAT|ERROR_WRONG_ID_FORMAT"),
        ),
        (
            "action=get&ids=7654321,7654323&json=1",
            format!(r#"{{"request":"{token}|CAPCHA_NOT_READY","status":1}}"#),
        ),
        ("action=get&id=7654322", "OK|sandbox".to_owned()),
    ] {
        let sandbox = sandbox();
        let target = format!("/res.php?key=K&{query}");
        assert_eq!(exchange(sandbox.address, get(&target)).text(), expected, "{query}");
    }
}

#[test]
fn header_acao_opens_a_response_to_other_origins() {
    let sandbox = sandbox();
    let allowed = |response: Message| response.field("access-control-allow-origin").map(str::to_owned);
    for (target, body, expected) in [
        ("/in.php?key=K&method=base64&header_acao=1", "", Some("*")),
        ("/in.php?key=K&method=base64&header_acao=1&json=1", "", Some("*")),
        ("/in.php", "key=K&method=base64&header_acao=1", Some("*")),
        ("/in.php", r#"{"key":"K","method":"base64","header_acao":1}"#, Some("*")),
        ("/in.php?key=wrong-key&header_acao=1", "", Some("*")),
        ("/res.php?key=K&action=get&id=7654321&header_acao=1", "", Some("*")),
        ("/res.php?key=K&action=getbalance&header_acao=1", "", Some("*")),
        (
            "/res.php?key=K&action=reportbad&id=7654321&header_acao=1",
            "",
            Some("*"),
        ),
        ("/res.php?key=K&action=getbalance&header_acao=0", "", None),
        ("/in.php?key=K&method=base64", "", None),
        ("/createTask?header_acao=1", "{}", None),
    ] {
        let response = exchange(sandbox.address, post(target, body));
        assert_eq!(allowed(response).as_deref(), expected, "{target} {body}");
    }
}
