//! The page and its assets. All of it comes from the program: nothing is loaded from elsewhere, and no inline code runs.

use axum::{
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use http::{HeaderName, StatusCode, header};
use maud::{DOCTYPE, Markup, html};

use super::{explain, live};
use crate::admin::{log_level::LEVELS, service::Shown};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// HTML as a response.
pub fn html_response(markup: Markup) -> Response {
    const FIELDS: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (FIELDS, markup.into_string()).into_response()
}

/// `/`: the page. `site` and `captcha` in the query are what the box explains.
pub async fn page(State(shown): State<Shown>, RawQuery(query): RawQuery) -> Response {
    let log_level = shown.log_level.name();
    let live = live::render(&shown).await;
    let explain = explain::render(&shown.gateway.rules(), query.as_deref());
    html_response(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "nocache-gateway" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/page.css";
                script src="/assets/page.js" defer {}
            }
            body {
                header {
                    h1 { "nocache-gateway" }
                    p.version { (env!("CARGO_PKG_VERSION")) }
                    p.refresh { span #refreshed role="status" {} " " button #pause type="button" hidden { "Pause" } }
                }
                main {
                    div #live { (live) }
                    (explain)
                }
                footer {
                    form.level action="/api/log-level" method="post" {
                        label for="level" { "Log level until the next start" }
                        select #level name="level" {
                            @for level in LEVELS { option value=(level) selected[level == log_level] { (level) } }
                        }
                        button type="submit" { "Change" }
                    }
                    p { a href="/metrics" { "Metrics" } " " a href="/config" { "Configuration" } " "
                        a href="/api/stats" { "Statistics as JSON" } " " a href="/readyz" { "Readiness" } }
                }
            }
        }
    })
}

/// `/assets/{name}`
pub async fn asset(Path(name): Path<String>) -> Response {
    let (content_type, text) = match name.as_str() {
        "page.css" => ("text/css; charset=utf-8", include_str!("page.css")),
        "page.js" => ("text/javascript; charset=utf-8", include_str!("page.js")),
        "icon.svg" => ("image/svg+xml", include_str!("icon.svg")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let fields = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (fields, text).into_response()
}
