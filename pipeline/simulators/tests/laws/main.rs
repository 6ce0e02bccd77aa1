//! Laws of the doubles, each seen by an independent client: raw `h2`, hyper's HTTP/1.1, bare lines
//! of SMTP, tokens signed here.

#![allow(
    clippy::unwrap_used,
    reason = "this crate is tests; clippy excuses only #[test] functions"
)]

mod admin;
mod apns;
mod apns_connection;
mod apns_token;
mod fcm;
mod fcm_oauth;
mod fcm_schema;
mod smtp;
mod smtp_script;
mod start;
mod support;
