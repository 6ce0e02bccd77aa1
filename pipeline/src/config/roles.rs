//! Which stages a process may run under a configuration: what lives in one process serves that one only.

use super::{BadConfig, DirectoryKind, LogKind, Settings};
use crate::topology::WORDS;

/// Stages that look citizens up, and so need a view of the directory that somebody fills.
const READERS: [&str; 6] = ["consent", "vault", "apns", "fcm", "email", "ingest"];
/// Stages that start sends or let them start: an opt-out that was answered must bind them.
const BOUND: [&str; 5] = ["consent", "vault", "apns", "fcm", "email"];

/// Whether a process asks or fills a directory: only then does its readiness hang on it.
pub fn uses_directory(runs: &dyn Fn(&str) -> bool) -> bool {
    runs("directory") || READERS.into_iter().any(runs)
}

impl Settings {
    /// Whether a process may run the stages named in `words` (all where empty).
    ///
    /// # Errors
    /// [`BadConfig`]: the key, why these stages do not go with it, and the fix.
    pub fn check_stages(&self, words: &[String]) -> Result<(), BadConfig> {
        let runs = |word: &str| words.is_empty() || words.iter().any(|other| other == word);
        let faults = match self.log.kind {
            LogKind::Embedded => self.on_the_embedded_log(&runs),
            LogKind::Kafka => self.on_kafka(&runs),
        };
        if faults.is_empty() { Ok(()) } else { Err(BadConfig(faults)) }
    }

    fn on_the_embedded_log(&self, runs: &dyn Fn(&str) -> bool) -> Vec<String> {
        let missing: Vec<&str> = WORDS.into_iter().filter(|word| !runs(word)).collect();
        let mut faults = Vec::new();
        if !missing.is_empty() {
            faults.push(format!(
                "log.kind: \"embedded\" serves one process, and nothing here runs {}; run every stage \
                 (no --stages), or set log.kind = \"kafka\"",
                missing.join(", ")
            ));
        }
        if self.worker.ordinal > 0 {
            faults.push(format!(
                "worker.ordinal: {} says that there are several processes, and log.kind = \
                 \"embedded\" serves one; set it to 0, or log.kind to \"kafka\"",
                self.worker.ordinal
            ));
        }
        faults
    }

    fn on_kafka(&self, runs: &dyn Fn(&str) -> bool) -> Vec<String> {
        if self.directory.kind == DirectoryKind::Redis {
            return Vec::new();
        }
        let mut faults = Vec::new();
        let readers: Vec<&str> = READERS.into_iter().filter(|word| runs(word)).collect();
        if !readers.is_empty() && !runs("directory") {
            faults.push(format!(
                "directory.kind: \"embedded\" is filled by stage directory in the same process, and \
                 {} would wait for it for ever; add directory to --stages, or set directory.kind = \
                 \"redis\"",
                readers.join(", ")
            ));
        }
        if runs("ingest") && !runs("status") {
            faults.push(
                "directory.kind: \"embedded\" keeps the status view in this process too, and the \
                 sender API would never find a message; add status to --stages, or set \
                 directory.kind = \"redis\""
                    .to_owned(),
            );
        }
        let elsewhere: Vec<&str> = BOUND.into_iter().filter(|word| !runs(word)).collect();
        let several = !elsewhere.is_empty() || self.worker.ordinal > 0;
        if runs("ingest") && !self.citizen_api.issuer.is_empty() && several {
            faults.push(
                "directory.kind: \"embedded\" lets the citizen API's answer wait for this process's \
                 view only, so another process could still send after an opt-out was confirmed; set \
                 directory.kind = \"redis\", or run every stage in one process of worker.ordinal 0"
                    .to_owned(),
            );
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::uses_directory;
    use crate::config::load;

    const KAFKA: &[(&str, &str)] = &[("LOG__KIND", "kafka"), ("LOG__BOOTSTRAP", "kafka:9092")];
    const REDIS: &[(&str, &str)] =
        &[("DIRECTORY__KIND", "redis"), ("DIRECTORY__REDIS_URL", "redis://redis:6379")];
    const CITIZENS: &[(&str, &str)] = &[("CITIZEN_API__ISSUER", "https://issuer.example")];
    const SECOND: &[(&str, &str)] = &[("WORKER__ORDINAL", "1")];

    /// `expected`: how each fault begins and a word that it must hold.
    fn check(sets: &[&[(&str, &str)]], stages: &str, expected: &[(&str, &str)]) {
        let variables = sets.concat().into_iter();
        let variables =
            variables.map(|(key, value)| (format!("STAFFETTA_{key}"), value.to_owned()));
        let settings = load(None, variables).unwrap();
        let words: Vec<String> =
            stages.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let faults = settings.check_stages(&words).map_or_else(|bad| bad.0, |()| Vec::new());
        assert_eq!(faults.len(), expected.len(), "{stages}: {faults:?}");
        for (fault, (key, word)) in faults.iter().zip(expected) {
            assert!(fault.starts_with(key) && fault.contains(word), "{stages}: {fault}");
        }
    }

    const ALL: &str = "consent,vault,apns,fcm,email,delay,batch,directory,status,ingest";

    #[test]
    fn the_embedded_log_serves_every_stage_or_none() {
        check(&[], "", &[]);
        check(&[], ALL, &[]);
        check(&[], "consent,vault", &[("log.kind", "delay")]);
        check(&[], "ingest,directory,status", &[("log.kind", "consent")]);
        check(&[REDIS], "directory", &[("log.kind", "kafka")]);
    }

    #[test]
    fn the_embedded_log_has_no_second_process() {
        check(&[SECOND], "", &[("worker.ordinal", "1")]);
    }

    #[test]
    fn who_looks_citizens_up_on_kafka_fills_its_own_directory() {
        for word in ["consent", "vault", "apns", "fcm", "email"] {
            check(&[KAFKA], word, &[("directory.kind", word)]);
            check(&[KAFKA], &format!("{word},directory"), &[]);
            check(&[KAFKA, REDIS], word, &[]);
        }
        check(&[KAFKA], "delay", &[]);
        check(&[KAFKA], "status,directory", &[]);
    }

    #[test]
    fn the_sender_api_on_kafka_fills_its_own_status_view() {
        check(&[KAFKA], "ingest,directory", &[("directory.kind", "status")]);
        let both = [("directory.kind", "add directory"), ("directory.kind", "add status")];
        check(&[KAFKA], "ingest", &both);
        check(&[KAFKA], "ingest,directory,status", &[]);
        check(&[KAFKA, REDIS], "ingest", &[]);
    }

    #[test]
    fn readiness_asks_a_directory_only_where_a_stage_of_the_process_uses_it() {
        let uses = |stages: &[&str]| uses_directory(&|word| stages.contains(&word));
        for word in ["consent", "vault", "apns", "fcm", "email", "ingest", "directory"] {
            assert!(uses(&["delay", word]), "{word}");
        }
        for stages in [&["delay"][..], &["status"], &["delay", "status"]] {
            assert!(!uses(stages), "{stages:?}");
        }
    }

    #[test]
    fn an_opt_out_binds_no_process_that_has_a_directory_of_its_own() {
        let ingest = "ingest,directory,status";
        check(&[KAFKA, CITIZENS], ingest, &[("directory.kind", "opt-out")]);
        check(&[KAFKA, CITIZENS, SECOND], "", &[("directory.kind", "opt-out")]);
        check(&[KAFKA, CITIZENS], "", &[]);
        check(&[KAFKA, REDIS, CITIZENS, SECOND], ingest, &[]);
    }
}
