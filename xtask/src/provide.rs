//! Making sure that software adapters are there: look, install what is missing, look again.

use crate::adapters::{self, Adapters, SoftwareAdapter};
use crate::apt::Installer;
use crate::output;

/// What there is now, and a line on each wanted adapter that there is not.
pub struct Provided {
    pub adapters: Adapters,
    pub missing: Vec<String>,
}

/// Looks for the wanted adapters and, when allowed, installs the missing ones.
pub fn provide(wanted: &[SoftwareAdapter], install: bool) -> Provided {
    let installer = Installer::here();
    let mut missing = Vec::new();
    if adapters::find_here().hardware {
        output::line("found    a graphics device with a Vulkan driver");
    }
    for adapter in wanted.iter().copied() {
        let title = adapter.title();
        let there = || adapters::find_here().has(adapter).then_some(());
        if there().is_none() {
            output::line(format_args!("missing  {title}"));
        }
        match installer.provide(there, adapter.packages(), install) {
            Ok(()) => output::line(format_args!("found    {title}")),
            Err(error) => missing.push(format!("{title}: {error}")),
        }
    }
    Provided { adapters: adapters::find_here(), missing }
}
