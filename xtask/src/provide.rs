//! Making sure that software adapters are there: look, install what is missing, look again.

use crate::adapters::{self, Adapters, SoftwareAdapter};
use crate::apt::Installer;
use crate::output;

/// What there is now, and a line on each wanted adapter that there is not.
pub struct Provided {
    pub adapters: Adapters,
    pub missing: Vec<String>,
}

/// That there is nothing to compute on.
#[derive(Debug, thiserror::Error)]
#[error("no graphics adapter; {missing}")]
pub struct NoAdapter {
    missing: String,
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

/// Sees to any adapter: a graphics device is enough; without one, lavapipe is installed when that is allowed.
pub fn any(install: bool) -> Result<(), NoAdapter> {
    if !cfg!(target_os = "linux") {
        output::line("Metal or Direct3D 12, part of the system");
        return Ok(());
    }
    let provided = provide(wanted(&adapters::find_here()), install);
    if provided.adapters.any() {
        provided.missing.iter().for_each(output::line);
        return Ok(());
    }
    Err(NoAdapter { missing: provided.missing.join("; ") })
}

/// Lavapipe, unless there is a graphics device.
fn wanted(adapters: &Adapters) -> &'static [SoftwareAdapter] {
    match adapters.hardware {
        true => &[],
        false => &[SoftwareAdapter::Lavapipe],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graphics_device_is_enough() {
        let device = Adapters { hardware: true, ..Adapters::default() };
        assert!(wanted(&device).is_empty());
        assert_eq!(wanted(&Adapters::default()), [SoftwareAdapter::Lavapipe]);
    }
}
