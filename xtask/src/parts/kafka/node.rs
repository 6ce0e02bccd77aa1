//! One combined broker and controller: its settings, its format, its command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::process;

const LOGGING: &str = "\
rootLogger.level=warn
rootLogger.appenderRef.c.ref=c
appender.c.type=Console
appender.c.name=c
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %m (%c)%n
";

/// The same on every node. Small internal topics, threads and segments: quick starts and quick
/// recovery on two cores; short timeouts: a dead worker's transaction blocks readers until then.
const COMMON: &str = "\
process.roles=broker,controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.cleaner.dedupe.buffer.size=33554432
log.segment.bytes=134217728
log.index.size.max.bytes=1048576
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.threads=1
auto.create.topics.enable=false
unclean.leader.election.enable=false
";

/// One node before its start.
#[derive(Debug)]
pub struct Node {
    id: usize,
    folder: PathBuf,
    port: u16,
    settings: String,
}

impl Node {
    /// As many nodes as there are pairs of ports (broker, controller), numbered from one.
    #[must_use]
    pub fn plan(folder: &Path, ports: &[u16]) -> Vec<Self> {
        let pairs: Vec<(u16, u16)> = ports.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let voters = (1..)
            .zip(&pairs)
            .map(|(id, (_, controller))| format!("{id}@127.0.0.1:{controller}"))
            .collect::<Vec<_>>()
            .join(",");
        let replicas = pairs.len();
        let plan = |(id, (port, controller)): (usize, &(u16, u16))| {
            let folder = folder.join(format!("node-{id}"));
            let settings = settings(id, *port, *controller, &voters, replicas, &folder);
            Self { id, folder, port: *port, settings }
        };
        (1..).zip(&pairs).map(plan).collect()
    }

    #[must_use]
    pub fn name(&self) -> String {
        format!("kafka node {}", self.id)
    }

    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }

    fn settings_file(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    /// The server. One node gets a heap that serves measurements too, touched before use; of three
    /// each starts fast and stays small, which lowers its peak: never measure on three.
    #[must_use]
    pub fn command(&self, jars: &Path, of: usize) -> Command {
        let mut java = self.java(jars);
        if of == 1 {
            java.args(["-Xms768m", "-Xmx768m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]);
            java.args(["-XX:+AlwaysPreTouch", "-XX:MaxDirectMemorySize=256m"]);
        } else {
            java.args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        }
        java.arg("kafka.Kafka").arg(self.settings_file());
        java
    }

    fn java(&self, jars: &Path) -> Command {
        let temporary = self.folder.join("tmp"); // native libraries unpack here, noexec or not
        let mut java = Command::new("java");
        java.arg("-cp").arg(jars.join("*")).args(["-Xshare:auto", "-Djava.awt.headless=true"]);
        for property in ["java.io.tmpdir", "ZstdTempFolder", "org.xerial.snappy.tempdir"] {
            java.arg(format!("-D{property}={}", temporary.display()));
        }
        let logging = self.folder.join("log4j2.properties");
        java.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        java
    }

    fn write(&self) -> Result<()> {
        fs::create_dir_all(self.folder.join("tmp"))?;
        fs::write(self.settings_file(), &self.settings)?;
        fs::write(self.folder.join("log4j2.properties"), LOGGING)?;
        Ok(())
    }
}

fn settings(
    id: usize,
    port: u16,
    controller: u16,
    voters: &str,
    replicas: usize,
    folder: &Path,
) -> String {
    let (in_sync, data) = (replicas.min(2), folder.join("data"));
    format!(
        "{COMMON}\
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
log.dirs={}
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
",
        data.display()
    )
}

/// Sixteen bytes as Kafka spells an id. A first dash would be read as an option by the storage tool
/// (`Uuid.randomUuid` draws again for that reason); a number's highest bit is enough to avoid it.
fn cluster_id(mut drawn: [u8; 16]) -> String {
    drawn[0] &= 0x7f;
    URL_SAFE_NO_PAD.encode(drawn)
}

/// Writes every node's files and gives the nodes one cluster id; all at once, because each costs
/// the start of a Java machine.
pub fn format(nodes: &[Node], jars: &Path) -> Result<()> {
    let cluster = cluster_id(rand::random());
    std::thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter()
            .map(|node| {
                let cluster = cluster.as_str();
                scope.spawn(move || {
                    node.write().with_context(|| format!("cannot prepare {}", node.name()))?;
                    let mut java = node.java(jars);
                    java.args(["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"]);
                    java.args(["-t", cluster, "-c"]).arg(node.settings_file());
                    process::output(&mut java).with_context(|| format!("format {}", node.name()))
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a helper thread died"))??;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting<'a>(node: &'a Node, key: &str) -> &'a str {
        let found = node.settings.lines().find_map(|line| line.strip_prefix(key));
        found.and_then(|rest| rest.strip_prefix('=')).unwrap_or_else(|| panic!("no {key}"))
    }

    #[test]
    fn no_cluster_id_begins_with_a_dash() {
        for first in 0..=u8::MAX {
            assert!(!cluster_id([first; 16]).starts_with('-'), "{first}");
        }
    }

    #[test]
    fn one_node_asks_for_no_second_replica() {
        let nodes = Node::plan(Path::new("f"), &[1, 2]);
        assert_eq!(nodes.len(), 1);
        assert_eq!(setting(&nodes[0], "min.insync.replicas"), "1");
        assert_eq!(setting(&nodes[0], "transaction.state.log.replication.factor"), "1");
        assert_eq!(nodes[0].address(), "127.0.0.1:1");
    }

    #[test]
    fn three_nodes_survive_the_loss_of_one() {
        let nodes = Node::plan(Path::new("f"), &[1, 2, 3, 4, 5, 6]);
        assert_eq!(nodes.len(), 3);
        for node in &nodes {
            assert_eq!(setting(node, "default.replication.factor"), "3");
            assert_eq!(setting(node, "min.insync.replicas"), "2");
            let voters = "1@127.0.0.1:2,2@127.0.0.1:4,3@127.0.0.1:6";
            assert_eq!(setting(node, "controller.quorum.voters"), voters);
        }
        assert_ne!(setting(&nodes[0], "log.dirs"), setting(&nodes[1], "log.dirs"));
    }
}
