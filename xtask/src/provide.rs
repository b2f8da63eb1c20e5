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
    let mut adapters = adapters::find_here();
    let mut missing = Vec::new();
    let mut updated = false;
    if adapters.hardware {
        output::line("found    a graphics device with a Vulkan driver");
    }
    for adapter in wanted.iter().copied() {
        let title = adapter.title();
        if adapters.has(adapter) {
            output::line(format_args!("found    {title}"));
            continue;
        }
        output::line(format_args!("missing  {title}"));
        let command = match installer.install(adapter, install) {
            Ok(command) => command,
            Err(refusal) => {
                missing.push(format!("{title}: {refusal}"));
                continue;
            }
        };
        if !updated {
            updated = true;
            // A source that does not answer need not be the one that has the package.
            if let Err(error) = installer.update().run() {
                output::error(error);
            }
        }
        if let Err(error) = command.run() {
            missing.push(format!("{title}: {error}"));
            continue;
        }
        adapters = adapters::find_here();
        if adapters.has(adapter) {
            output::line(format_args!("found    {title}"));
        } else {
            missing.push(format!("{title}: not there even after `{command}`"));
        }
    }
    Provided { adapters, missing }
}
