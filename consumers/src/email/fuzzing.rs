//! A relay's bytes, read as the dialogue reads them, for crate `fuzz`.

use std::time::Duration;

use policy::outcome::Answer;

use super::classify;
use super::reply::Phase;
use super::wire::Wire;

/// Reads `said` to the last whole reply; each one's code and what it would mean at `phase`.
pub async fn answers(said: &[u8], phase: Phase) -> Vec<(u16, Answer)> {
    let mut wire = Wire::new(tokio::io::join(said, tokio::io::sink()));
    let mut answers = Vec::new();
    while let Ok(lines) = wire.reply(Duration::from_secs(1)).await {
        lines.keywords().for_each(drop);
        let reply = lines.reply();
        answers.push((reply.code, classify(phase, reply)));
    }
    answers
}
