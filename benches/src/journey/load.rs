//! The senders: HTTP/1.1 connections that post messages at their times.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use futures::future::try_join_all;
use http_body_util::Full;
use hyper::Request;
use schemas::ids::MessageId;
use serde_json::Value;
use tokio::time::Instant;

use super::people::Mail;
use crate::http::Connection;
use crate::pacer::Pacer;

/// What became of one message at the door.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When it was due, since the Unix epoch.
    pub due: Duration,
    /// From then to the answer.
    pub took: Duration,
    pub answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Taken(MessageId),
    /// With this status.
    Refused(u16),
    /// The connection broke before the answer.
    None,
}

/// How a phase is sent.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    /// Number of the first message; citizens follow from it.
    pub first: usize,
    pub count: usize,
    /// Messages a second; as fast as they are answered otherwise.
    pub rate: Option<f64>,
    pub connections: usize,
}

/// Sends a phase; gives what became of each message, in no order.
///
/// # Errors
/// The door cannot be reached.
pub async fn send(door: SocketAddr, mail: &Arc<Mail>, phase: Phase) -> Result<Vec<Sent>> {
    let connections = (0..phase.connections.min(phase.count)).map(|_| Connection::open(door));
    let connections = try_join_all(connections).await?;
    let pacer = Arc::new(Pacer::new(phase.count, phase.rate));
    let clock = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?);
    let tasks = connections.into_iter().map(|connection| {
        let (pacer, mail) = (Arc::clone(&pacer), Arc::clone(mail));
        tokio::spawn(one(connection, door, pacer, mail, phase.first, clock))
    });
    let sent = try_join_all(tasks).await?;
    Ok(sent.into_iter().flatten().collect())
}

async fn one(
    mut connection: Connection,
    door: SocketAddr,
    pacer: Arc<Pacer>,
    mail: Arc<Mail>,
    first: usize,
    (then, epoch): (Instant, Duration),
) -> Vec<Sent> {
    let mut sent = Vec::new();
    let host = door.to_string();
    while let Some((number, due)) = pacer.next().await {
        let request = Request::post("/api/v1/messages")
            .header("host", &host)
            .header("content-type", "application/json")
            .header("ocp-apim-subscription-key", &mail.api_key)
            .body(Full::new(mail.body(first + number)));
        let answer = match request {
            Ok(request) => read(connection.ask(request).await.ok()),
            Err(_) => Answer::None,
        };
        let took = due.elapsed();
        sent.push(Sent { due: epoch + due.duration_since(then), took, answer });
        if answer == Answer::None {
            match Connection::open(door).await {
                Ok(again) => connection = again,
                Err(_) => break,
            }
        }
    }
    sent
}

fn read(answer: Option<(hyper::StatusCode, bytes::Bytes)>) -> Answer {
    let Some((status, body)) = answer else { return Answer::None };
    if status != 201 {
        return Answer::Refused(status.as_u16());
    }
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let id = body.as_ref().and_then(|body| body["id"].as_str()?.parse().ok());
    id.map_or(Answer::None, Answer::Taken)
}
