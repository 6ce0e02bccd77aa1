//! A Postfix of one's own: settings, queue and mailbox in one folder, STARTTLS demanded, every
//! address of every domain delivered into one maildir, nothing ever sent on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::unistd::{Group, User};

use super::running::{Record, tail};
use super::{Place, Running};
use crate::console::Waiting;
use crate::packages::{self, Need};
use crate::{interrupt, process};

const START: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(5);
const MASTER: &str = "/usr/lib/postfix/sbin/master";

/// `{folder}` and `{uid}` are filled in. `static:` answers every question with the same value.
const MAIN: &str = "\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = mail.staffetta.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
local_recipient_maps =
alias_maps =
alias_database =
biff = no
notify_classes =
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = error:nothing leaves this machine
relay_transport = error:nothing leaves this machine
virtual_mailbox_domains = static:every
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {folder}/tls/cert.pem
smtpd_tls_key_file = {folder}/tls/key.pem
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
";

/// Service, type, private, unprivileged, chroot, wake-up, processes, command.
const SERVICES: &str = "\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";

/// A server that greets. It ends when this value is dropped.
#[derive(Debug)]
pub struct Postfix {
    running: Running,
}

impl Postfix {
    /// Address, authority and mailbox, as the mail law reads them.
    #[must_use]
    pub fn for_tests(&self) -> String {
        let record = &self.running.record;
        let more = |key: &str| record.more.get(key).map_or("", String::as_str);
        format!("{};{};{}", record.address, more("ca"), more("mailbox"))
    }

    /// Lets the server outlive this command. The record's `more` holds `ca`, the PEM file to trust,
    /// and `mailbox`, the folder with one file a mail.
    #[must_use]
    pub fn keep(self) -> Record {
        self.running.keep()
    }
}

/// Starts a server with an empty mailbox.
pub fn up(place: Place) -> Result<Postfix> {
    packages::ensure(&[Need::Postfix, Need::OpenSslTool])?;
    if !nix::unistd::geteuid().is_root() {
        bail!("Postfix starts as root only; run: sudo cargo xtask postfix up");
    }
    let port = process::free_ports(1)?.first().copied().context("one port was asked for")?;
    let address = format!("127.0.0.1:{port}");
    let mut running = Running::prepare(place, "postfix", address.clone())?;
    let folder = running.folder().to_owned();
    lay_out(&folder, port)?;
    certify(&folder.join("tls"))?;
    let path = |part: &str| folder.join(part).display().to_string();
    running.record.more =
        [("ca".to_owned(), path("tls/ca.pem")), ("mailbox".to_owned(), path("mail/all/new"))]
            .into();
    let mut master = Command::new(MASTER);
    master.arg("-c").arg(folder.join("etc")).arg("-d"); // stays in front: its id is the recorded one
    running.start("postfix", &mut master, &folder.join("master.log"))?;
    let waiting = Waiting::on(format!("postfix at {address}"));
    let mut ended = false;
    let greeted = interrupt::wait_until(START, STEP, || {
        waiting.tick();
        ended = running.ended().is_some();
        ended || answers(&address).is_ok()
    });
    if ended || !greeted {
        waiting.done("failed");
        let logs = ["master.log", "postfix.log"].map(|log| tail(&folder.join(log), 15));
        bail!("postfix does not greet; its last words:\n{}", logs.join("\n"));
    }
    waiting.done("ready");
    Ok(Postfix { running })
}

/// The greeting of a mail server.
pub fn answers(address: &str) -> Result<()> {
    let to: SocketAddr = address.parse().context("not an address")?;
    let stream = TcpStream::connect_timeout(&to, TIMEOUT).context("no connection")?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut greeting = String::new();
    BufReader::new(stream).read_line(&mut greeting)?;
    if !greeting.starts_with("220 ") {
        bail!("{address} is no mail server");
    }
    Ok(())
}

/// Settings, and the queue with the owners that Postfix demands.
fn lay_out(folder: &Path, port: u16) -> Result<()> {
    let user = |name: &str| User::from_name(name).ok().flatten().with_context(|| no_such(name));
    let (postfix, nobody) = (user("postfix")?, user("nobody")?);
    let postdrop = Group::from_name("postdrop").ok().flatten().context(no_such("postdrop"))?;
    reachable(folder)?;
    let root = (0, 0);
    let owner = (postfix.uid.as_raw(), 0);
    let dropped = (postfix.uid.as_raw(), postdrop.gid.as_raw());
    let reader = (nobody.uid.as_raw(), nobody.gid.as_raw());
    for (name, mode, (uid, gid)) in [
        ("etc", 0o755, root),
        ("tls", 0o755, root),
        ("mail", 0o755, reader),
        ("data", 0o700, owner),
        ("queue", 0o755, root),
        ("queue/pid", 0o755, root),
        ("queue/public", 0o710, dropped),
        ("queue/maildrop", 0o730, dropped),
        ("queue/private", 0o700, owner),
        ("queue/active", 0o700, owner),
        ("queue/bounce", 0o700, owner),
        ("queue/corrupt", 0o700, owner),
        ("queue/defer", 0o700, owner),
        ("queue/deferred", 0o700, owner),
        ("queue/flush", 0o700, owner),
        ("queue/hold", 0o700, owner),
        ("queue/incoming", 0o700, owner),
        ("queue/saved", 0o700, owner),
        ("queue/trace", 0o700, owner),
    ] {
        let path = folder.join(name);
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        set_mode(&path, mode)?;
        chown(&path, Some(uid), Some(gid))
            .with_context(|| format!("cannot hand {} over", path.display()))?;
    }
    let main = MAIN
        .replace("{folder}", &folder.display().to_string())
        .replace("{uid}", &nobody.uid.to_string())
        .replace("{gid}", &nobody.gid.to_string());
    fs::write(folder.join("etc/main.cf"), main).context("cannot write main.cf")?;
    let services = SERVICES.replace("{port}", &port.to_string());
    fs::write(folder.join("etc/master.cf"), services).context("cannot write master.cf")
}

fn no_such(name: &str) -> String {
    format!("the package postfix has made no {name}; reinstall it")
}

/// The mailbox is written by an unprivileged process, which must be able to walk to it.
fn reachable(folder: &Path) -> Result<()> {
    set_mode(folder, 0o711)?;
    for above in folder.ancestors() {
        let mode = fs::metadata(above).map(|facts| facts.permissions().mode()).unwrap_or(0);
        if mode & 0o001 == 0 {
            bail!("Postfix cannot walk through {0}; run: chmod o+x {0}", above.display());
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

/// An authority of its own and a certificate for 127.0.0.1, both made now and thrown away.
fn certify(folder: &Path) -> Result<()> {
    let file = |name: &str| -> PathBuf { folder.join(name) };
    let extensions = "basicConstraints = critical, CA:FALSE\n\
                      subjectAltName = IP:127.0.0.1, DNS:localhost\n\
                      extendedKeyUsage = serverAuth\n";
    fs::write(file("extensions"), extensions).context("cannot write the extensions")?;
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let openssl = |arguments: &[&str], files: &[(&str, &str)]| -> Result<()> {
        let mut openssl = Command::new("openssl");
        openssl.args(arguments);
        for (flag, name) in files {
            openssl.arg(flag).arg(file(name));
        }
        process::output(&mut openssl).map(drop)
    };
    let authority = ["req", "-x509", "-days", "30", "-subj", "/CN=Staffetta test authority"];
    openssl(&[&authority[..], &curve].concat(), &[("-keyout", "ca.key"), ("-out", "ca.pem")])?;
    let request = ["req", "-new", "-subj", "/CN=mail.staffetta.test"];
    openssl(&[&request[..], &curve].concat(), &[("-keyout", "key.pem"), ("-out", "request.pem")])?;
    openssl(
        &["x509", "-req", "-days", "30"],
        &[
            ("-in", "request.pem"),
            ("-CA", "ca.pem"),
            ("-CAkey", "ca.key"),
            ("-extfile", "extensions"),
            ("-out", "cert.pem"),
        ],
    )
}
