//! How the cluster is reached and how patient we are; from it the configuration of every client.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;

use crate::log::LogError;

/// Where a group without offsets begins on a partition that holds records: an operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstOffsets {
    /// Everything that the topic keeps is handled, again where it was handled before.
    Beginning,
    /// What lies there is passed over.
    End,
}

/// Where the cluster is, who we are there, how long we wait.
#[derive(Clone)]
pub struct KafkaSettings {
    /// `host:port`, several separated by commas.
    pub bootstrap: String,
    /// A namespace for sharing a cluster: put before every topic, group and transactional id, e.g.
    /// `town.`. Empty: none. Access rules can be written for the prefix.
    pub prefix: String,
    /// librdkafka's `security.*`, `sasl.*`, `ssl.*` and `enable.ssl.*` settings, passed on as they
    /// are; no other key is taken.
    pub security: BTreeMap<String, String>,
    /// Copies of each partition that `apply` asks for; with three or more, two must have a record
    /// before it counts.
    pub replication: u16,
    /// What `apply` gives a group that has no offset on a partition that holds records. None: it refuses.
    /// Brokers forget the offsets of a group that was away for long (seven days by default), and
    /// nobody but an operator knows a new group from a forgotten one.
    pub first_offsets: Option<FirstOffsets>,
    /// A silent member loses its partitions after this.
    pub session_timeout: Duration,
    /// The broker aborts a transaction that is open for longer.
    pub transaction_timeout: Duration,
    /// How long the decision itself (commit or abort) may take before its outcome counts as unknown.
    pub commit_timeout: Duration,
    /// Transactional producers that a member uses in turn: each rests while the broker writes the
    /// markers of its last transaction.
    pub producers_in_turn: usize,
    /// Longest wait for anything else: starting, metadata, offsets.
    pub call_timeout: Duration,
    /// A record not acknowledged by then is given up; below the HTTP timeout of its sender.
    pub append_timeout: Duration,
}

impl KafkaSettings {
    /// Production's patience, no namespace, no security.
    #[must_use]
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            prefix: String::new(),
            security: BTreeMap::new(),
            replication: 3,
            first_offsets: None,
            session_timeout: Duration::from_secs(10),
            transaction_timeout: Duration::from_secs(10),
            commit_timeout: Duration::from_secs(5),
            producers_in_turn: 3,
            call_timeout: Duration::from_secs(30),
            append_timeout: Duration::from_secs(8),
        }
    }

    /// Refuses what cannot work before any connection is made.
    pub(super) fn check(&self) -> Result<(), LogError> {
        let refuse = |what: &str| Err(LogError::Broken(format!("kafka settings: {what}")));
        if self.bootstrap.trim().is_empty() {
            return refuse("`bootstrap` is empty: name at least one broker as host:port");
        }
        if self.producers_in_turn == 0 {
            return refuse("`producers_in_turn` is 0: at least one producer is needed");
        }
        if self.replication == 0 {
            return refuse("`replication` is 0: at least one copy is needed");
        }
        // Else the broker could abort, and bump the epoch of, a producer whose outcome we still
        // await: that looks like being fenced by somebody else.
        if self.commit_timeout.saturating_mul(2) > self.transaction_timeout {
            return refuse("`commit_timeout` must be at most half of `transaction_timeout`");
        }
        let known = ["security.", "sasl.", "ssl.", "enable.ssl."];
        let foreign = |key: &&String| !known.iter().any(|start| key.starts_with(start));
        match self.security.keys().find(foreign) {
            Some(key) => refuse(&format!("`{key}` is no security setting: remove it")),
            None => Ok(()),
        }
    }

    /// What every client has in common.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("client.id", "staffetta");
        for (key, value) in &self.security {
            config.set(key, value);
        }
        config
    }

    /// A consumer that reads committed records only and never skips silently.
    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.min.bytes", "1")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.message.max.bytes", "1048576")
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.max.messages.kbytes", "16384")
            .set("check.crcs", "true");
        config
    }

    /// A consumer that sits in a group as `instance`.
    pub(super) fn member(&self, group: &str, instance: &str) -> ClientConfig {
        let mut config = self.consumer(group);
        let heartbeat = (self.session_timeout / 4).min(Duration::from_secs(3));
        config
            .set("group.instance.id", instance)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", millis(self.session_timeout))
            .set("heartbeat.interval.ms", millis(heartbeat));
        config
    }

    /// A producer for transactions under `id`.
    pub(super) fn transactional(&self, id: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("transactional.id", id)
            .set("transaction.timeout.ms", millis(self.transaction_timeout))
            .set("message.timeout.ms", millis(self.transaction_timeout * 4 / 5))
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // The flush before each commit ends the waiting, so batches may stay whole until then.
            .set("linger.ms", "1000")
            .set("batch.size", "1000000")
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "131072")
            .set("max.in.flight.requests.per.connection", "5");
        config
    }

    /// The producer whose records are acknowledged one by one.
    pub(super) fn appending(&self) -> ClientConfig {
        let mut config = self.client();
        let request = self.append_timeout.min(Duration::from_secs(5));
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "2")
            .set("message.timeout.ms", millis(self.append_timeout))
            .set("request.timeout.ms", millis(request))
            .set("queue.buffering.max.messages", "100000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("max.in.flight.requests.per.connection", "5");
        config
    }
}

/// Security settings are named, their values never shown: passwords are among them.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("bootstrap", &self.bootstrap)
            .field("prefix", &self.prefix)
            .field("security", &self.security.keys().collect::<Vec<_>>())
            .field("replication", &self.replication)
            .field("session_timeout", &self.session_timeout)
            .field("transaction_timeout", &self.transaction_timeout)
            .field("producers_in_turn", &self.producers_in_turn)
            .finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut KafkaSettings), word: &str) {
        let mut settings = KafkaSettings::new("127.0.0.1:9092");
        assert_eq!(settings.check(), Ok(()));
        change(&mut settings);
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains(word), "{error} does not name {word}");
    }

    #[test]
    fn a_setting_that_cannot_work_is_refused_by_name() {
        refused(|s| s.bootstrap = " ".into(), "bootstrap");
        refused(|s| s.producers_in_turn = 0, "producers_in_turn");
        refused(|s| s.replication = 0, "replication");
        refused(|s| s.commit_timeout = s.transaction_timeout, "commit_timeout");
        let reset = |s: &mut KafkaSettings| {
            s.security.insert("auto.offset.reset".into(), "latest".into());
        };
        refused(reset, "auto.offset.reset");
    }

    #[test]
    fn a_password_is_not_printed() {
        let mut settings = KafkaSettings::new("127.0.0.1:9092");
        settings.security.insert("sasl.password".into(), "planted".into());
        let printed = format!("{settings:?}");
        assert!(printed.contains("sasl.password") && !printed.contains("planted"));
    }
}
