//! Programs that look at the chart: built once below `target/`, from pinned modules of Go.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::console::Waiting;
use crate::process;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Helm,
    Kubeconform,
    KubeScore,
}

impl Tool {
    pub const ALL: [Self; 3] = [Self::Helm, Self::Kubeconform, Self::KubeScore];

    fn module(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Helm => ("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0"),
            Self::Kubeconform => {
                ("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0")
            }
            Self::KubeScore => {
                ("kube-score", "github.com/zegl/kube-score/cmd/kube-score", "v1.20.0")
            }
        }
    }

    fn folder(self) -> PathBuf {
        let (name, _, version) = self.module();
        process::workspace().join("target/tools/go").join(format!("{name}-{version}"))
    }

    fn program(self) -> PathBuf {
        self.folder().join(self.module().0)
    }

    /// Whether it was built already.
    #[must_use]
    pub fn is_here(self) -> bool {
        self.program().is_file()
    }

    /// A command of it; built first where it is not here.
    pub fn command(self) -> Result<Command> {
        if !self.is_here() {
            self.build()?;
        }
        Ok(Command::new(self.program()))
    }

    fn build(self) -> Result<()> {
        let (name, module, version) = self.module();
        let Some(go) = process::find("go") else {
            bail!(
                "{name} {version} is built by Go, and there is no go on the search path: install Go \
                 1.25 or newer"
            );
        };
        let waiting = Waiting::on(format!("building {name} {version}"));
        let mut install = Command::new(go);
        install.arg("install").arg(format!("{module}@{version}")).env("GOBIN", self.folder());
        let built = process::output(&mut install)
            .context("a module proxy must be reachable by go, or its modules be in the cache");
        waiting.done(if built.is_ok() { "built" } else { "failed" });
        built.map(drop)
    }
}
