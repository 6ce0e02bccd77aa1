//! Opening the edges that are switched on.

use std::collections::BTreeMap;
use std::sync::Arc;

use consumers::apns::ApnsPort;
use consumers::channel::Port;
use consumers::email::EmailPort;
use consumers::fcm::FcmPort;
use schemas::topics::Channel;

use crate::plant::Site;

/// The ports of the wanted stages.
pub struct Opened {
    /// A channel that is switched off has none, its messages wait.
    pub ports: BTreeMap<Channel, Arc<dyn Port>>,
    /// The email port once more, where it mails validations too.
    pub validations: Option<Arc<EmailPort>>,
}

/// Opens what is switched on and wanted.
///
/// # Errors
/// The configuration key that is wrong.
pub fn open(site: &Site, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Opened> {
    let settings = &site.settings;
    let keyring = || Arc::clone(&site.keys.keyring);
    let mut ports: BTreeMap<Channel, Arc<dyn Port>> = BTreeMap::new();
    let mut validations = None;
    if settings.apns.enabled && wanted("apns") {
        let port = ApnsPort::open(&settings.apns.config, keyring(), &site.world)?;
        ports.insert(Channel::Apns, Arc::new(port));
    }
    if settings.fcm.enabled && wanted("fcm") {
        let port = FcmPort::open(&settings.fcm.config, keyring(), &site.world)?;
        ports.insert(Channel::Fcm, Arc::new(port));
    }
    if settings.email.enabled && wanted("email") {
        let port = Arc::new(EmailPort::open(&settings.email.config, keyring(), &site.world)?);
        validations = Some(Arc::clone(&port)).filter(|port| port.mails_validations());
        ports.insert(Channel::Email, port);
    }
    ports.values().for_each(|port| site.edges.add(Arc::clone(port)));
    Ok(Opened { ports, validations })
}
