//! The Rust clients of the matrix, one short function each, as their own documentation has them used.
//!
//! `matrix-clients NAME ADDRESS KEY SITE` prints what a user of the client gets: `token ...`, or `shown ...` with the
//! error.

use std::{env, error::Error, panic, time::Duration};

const SITE_KEY: &str = "6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd";

type Token = Result<String, Box<dyn Error>>;

async fn capmonstercloud_client(address: &str, key: &str, site: &str) -> Token {
    use capmonstercloud_client::{CapMonsterClient, ClientOptions, requests::RecaptchaV2Request};

    let client = CapMonsterClient::new(ClientOptions::new(key).with_service_url(address))?;
    let solution = client.solve_captcha(&RecaptchaV2Request::new(site, SITE_KEY)).await?;
    Ok(solution["gRecaptchaResponse"].as_str().unwrap_or_default().to_owned())
}

async fn captcha_oxide(_address: &str, key: &str, site: &str) -> Token {
    use captcha_oxide::{Captcha, CaptchaSolver, captcha::types::recaptcha::v2::RecaptchaV2};

    let task = RecaptchaV2::builder()
        .website_url(url::Url::parse(site)?)
        .website_key(SITE_KEY)
        .build();
    let solved = CaptchaSolver::new(key).solve(&task).await?;
    Ok(solved.solution.g_recaptcha_response.to_string())
}

async fn rust_anticaptcha(_address: &str, key: &str, site: &str) -> Token {
    use rust_anticaptcha::{core::enums::TokenTaskType, token_captcha::TokenCaptcha};

    let task = serde_json::json!({ "websiteURL": site, "websiteKey": SITE_KEY });
    let result = TokenCaptcha::new(key.to_owned())
        .captcha_handler(TokenTaskType::RecaptchaV2TaskProxyless, &task)
        .await;
    match result["solution"]["gRecaptchaResponse"].as_str() {
        Some(token) => Ok(token.to_owned()),
        None => Err(result.to_string().into()),
    }
}

async fn twocaptcha(address: &str, key: &str, site: &str) -> Token {
    use twocaptcha::{TwoCaptcha, TwoCaptchaConfig};

    let config = TwoCaptchaConfig {
        server: Some(address.to_owned()),
        polling_interval: Some(Duration::from_secs(1)),
        ..TwoCaptchaConfig::default()
    };
    let solved = TwoCaptcha::new(key.to_owned(), config)
        .recaptcha(SITE_KEY, site, None, None, None)
        .await?;
    Ok(solved.code.unwrap_or_default())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // A client's panic is what its user sees; where it happened is a path of this machine.
    panic::set_hook(Box::new(|panic| {
        println!("shown panic: {}", panic.payload_as_str().unwrap_or_default())
    }));
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, address, key, site] = &arguments[..] else {
        panic!("four arguments: NAME ADDRESS KEY SITE");
    };
    let token = match name.as_str() {
        "capmonstercloud-client" => capmonstercloud_client(address, key, site).await,
        "captcha_oxide" => captcha_oxide(address, key, site).await,
        "rust-anticaptcha" => rust_anticaptcha(address, key, site).await,
        "twocaptcha" => twocaptcha(address, key, site).await,
        _ => panic!("no client of this name"),
    };
    match token {
        Ok(token) => println!("token {token}"),
        Err(error) => println!(
            "shown {}",
            error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
        ),
    }
}
