//! The laws of the edge's shells: the pool against a real TLS socket and a server that obeys a
//! script frame by frame, the tokens against keys made at run time and a scripted token endpoint.

#![allow(
    clippy::unwrap_used,
    reason = "a double or a helper that fails must fail the test that uses it"
)]

mod access_token;
mod cut;
mod double;
mod faults;
mod frames;
mod provider_token;
mod providers;
mod sending;
mod streams;
mod token_client;
