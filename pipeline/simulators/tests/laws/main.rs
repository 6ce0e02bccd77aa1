//! Laws of the doubles, each seen by an independent client: raw `h2`, hyper's HTTP/1.1, bare lines of
//! SMTP, tokens signed here.

mod admin;
mod apns;
mod apns_connection;
mod apns_token;
mod fcm;
mod fcm_oauth;
mod fcm_schema;
mod smtp;
mod smtp_script;
mod support;
