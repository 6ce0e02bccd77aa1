//! Services and citizens come on board, and the views have seen them before anything is sent.

use std::sync::Arc;

use anyhow::Context as _;
use producers::citizens::{Onboarding, onboard};
use sealing::SystemEntropy;

use super::data::Data;
use crate::commands::services;
use crate::plant::Site;

/// Publishes all services and citizens; gives the number of citizens on board.
///
/// # Errors
/// The log's, the data's.
pub async fn all(site: &Arc<Site>, data: &Data) -> anyhow::Result<usize> {
    let publishing = Arc::clone(site);
    let (text, count) = (data.services_text.clone(), data.services.len());
    let lines: Vec<_> = data.citizens.iter().map(ToString::to_string).collect();
    let done = tokio::task::spawn_blocking(move || {
        let site = publishing;
        services::publish(&text, site.log.as_ref(), &site.keys.keyring, &site.world)?;
        let with = Onboarding {
            keyring: &site.keys.keyring,
            entropy: &SystemEntropy,
            codec: &site.world.codec,
            now: site.world.now(),
        };
        let mut writer = site.log.writer("citizens")?;
        let text = lines.join("\n");
        onboard(text.as_bytes(), with, writer.as_mut()).context("the citizens file")
    })
    .await??;
    until(site, "the services", |site| site.registry.len() >= count).await?;
    site.views.wait_applied(&done.last).await?;
    Ok(done.citizens)
}

async fn until(site: &Arc<Site>, what: &str, holds: impl Fn(&Site) -> bool) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while !holds(site) {
        anyhow::ensure!(
            tokio::time::Instant::now() < deadline,
            "{what} did not arrive within 60 s"
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    Ok(())
}
