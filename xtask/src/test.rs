//! `cargo xtask test`: the adapters, all tests, and the checks of what the tests do not build.

use std::env;

use crate::adapters::{Adapters, SoftwareAdapter, quiet_device_select};
use crate::command::CommandLine;
use crate::msrv;
use crate::output::{self, Outcome, Summary};
use crate::provide::{self, Provided};
use crate::targets::{MACOS, TARGETS};
use crate::web::{self, Browser, SUITES, WebError};
use crate::workspace::Workspace;

/// Runs every step, whatever the ones before came to, and returns whether all passed.
pub fn run(install: bool) -> bool {
    let ci = env::var("CI").is_ok_and(|value| value == "true");
    let mut summary = Summary::default();
    let mut adapters = Adapters::default();

    let about = "what the tests run on";
    summary.step("adapters", about, || {
        if !cfg!(target_os = "linux") {
            output::line("Metal or Direct3D 12, part of the system; no others are looked for here");
            return Outcome::Passed;
        }
        let provided = provide::provide(&SoftwareAdapter::ALL, install);
        adapters = provided.adapters.clone();
        judge(provided, ci)
    });

    let about = "unit, integration and documentation tests, on every adapter";
    summary.step("tests", about, || {
        let settings = Settings {
            require_all: ci && cfg!(target_os = "linux"),
            more_drivers: env::var("VK_ADD_DRIVER_FILES").ok(),
            desktop: env::var_os("XDG_RUNTIME_DIR").is_some(),
        };
        let command = CommandLine::new("cargo", ["test", "--workspace", "--no-fail-fast"]);
        Outcome::of(command.envs(environment(&adapters, &settings)).run())
    });

    let about = "the library with the oldest Rust that it promises, for macOS, with `validate` and without";
    summary.step(MACOS, about, || Outcome::of(msrv::check(install)));

    for target in &TARGETS {
        let about = "type-checked for another platform";
        summary.step(target.triple, about, || Outcome::of(target.check(install)));
    }

    web(&mut summary, install);

    output::heading("summary");
    output::line(summary.text());
    summary.passed()
}

/// The steps of the web crates: lints, the build, and the tests of what was built, which need it.
fn web(summary: &mut Summary, install: bool) {
    let about = "clippy on what browsers run, and no naga in it";
    summary.step("web lints", about, || Outcome::of(web::lint(install)));

    let mut built = None;
    let about = "the page, the npm package and the tests for browsers, and a Chromium";
    summary.step("web build", about, || {
        let build = || {
            let workspace = Workspace::here()?;
            web::build(&workspace, install)?;
            web::build_tests(&workspace, install)?;
            Ok::<_, WebError>((workspace, Browser::provide(install)?))
        };
        Outcome::of(build().map(|there| built = Some(there)))
    });
    for suite in &SUITES {
        summary.step(suite.name, suite.about, || match &built {
            Some((workspace, browser)) => Outcome::of(suite.run(workspace, browser)),
            None => Outcome::Failed(vec!["there is nothing to test, since the build failed".to_owned()]),
        });
    }
}

/// What the adapters found come to.
fn judge(provided: Provided, ci: bool) -> Outcome {
    let Provided { adapters, missing } = provided;
    if missing.is_empty() {
        Outcome::Passed
    } else if ci || !adapters.any() {
        Outcome::Failed(missing)
    } else {
        Outcome::Incomplete(missing)
    }
}

/// What the environment of the tests depends on besides the adapters.
struct Settings {
    /// Fail when one of the three software adapters does not open.
    require_all: bool,
    /// `VK_ADD_DRIVER_FILES` as it is.
    more_drivers: Option<String>,
    /// Whether there is a desktop session.
    desktop: bool,
}

/// The environment in which the tests see every adapter.
fn environment(adapters: &Adapters, settings: &Settings) -> Vec<(&'static str, String)> {
    let mut environment = Vec::new();
    if let Some(file) = &adapters.swiftshader {
        let file = file.display().to_string();
        let files = match settings.more_drivers.as_deref() {
            None | Some("") => file,
            Some(others) => format!("{others}:{file}"),
        };
        environment.push(("VK_ADD_DRIVER_FILES", files));
    }
    if settings.require_all {
        let keys = SoftwareAdapter::ALL.map(SoftwareAdapter::key);
        environment.push(("LOOKAHEAD_REQUIRE_ADAPTERS", keys.join(",")));
        // OpenGL has one adapter: on a machine with a graphics device, that would be the device.
        if let Some(file) = &adapters.llvmpipe_gl {
            environment.push(("__EGL_VENDOR_LIBRARY_FILENAMES", file.display().to_string()));
            environment.push(("LIBGL_ALWAYS_SOFTWARE", "1".to_owned()));
        }
    }
    if !settings.desktop {
        environment.push(quiet_device_select());
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Adapters {
        Adapters {
            lavapipe: true,
            swiftshader: Some("/chromium/icd.json".into()),
            llvmpipe_gl: Some("/egl/50_mesa.json".into()),
            hardware: false,
        }
    }

    fn settings() -> Settings {
        Settings { require_all: false, more_drivers: None, desktop: true }
    }

    fn shown(adapters: &Adapters, settings: &Settings) -> String {
        let environment = environment(adapters, settings);
        let pairs: Vec<_> = environment.iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join(" ")
    }

    #[test]
    fn the_loader_is_told_of_swiftshader() {
        assert_eq!(shown(&all(), &settings()), "VK_ADD_DRIVER_FILES=/chromium/icd.json");
        let mut settings = settings();
        settings.more_drivers = Some("/mine.json".into());
        assert_eq!(shown(&all(), &settings), "VK_ADD_DRIVER_FILES=/mine.json:/chromium/icd.json");
        assert_eq!(shown(&Adapters::default(), &settings), "");
    }

    #[test]
    fn continuous_integration_requires_all_three() {
        let settings = Settings { require_all: true, ..settings() };
        let keys = "LOOKAHEAD_REQUIRE_ADAPTERS=llvmpipe-vulkan,swiftshader,llvmpipe-gl";
        assert_eq!(
            shown(&all(), &settings),
            format!(
                "VK_ADD_DRIVER_FILES=/chromium/icd.json {keys} \
                 __EGL_VENDOR_LIBRARY_FILENAMES=/egl/50_mesa.json LIBGL_ALWAYS_SOFTWARE=1"
            )
        );
        assert_eq!(shown(&Adapters::default(), &settings), keys);
    }

    #[test]
    fn a_machine_without_a_desktop_is_spared_the_complaint() {
        let settings = Settings { desktop: false, ..settings() };
        assert_eq!(shown(&Adapters::default(), &settings), "NODEVICE_SELECT=1");
    }

    #[test]
    fn a_missing_adapter_fails_in_continuous_integration_or_when_there_is_no_other() {
        let judged = |adapters: Adapters, missing: &[&str], ci: bool| {
            let missing = missing.iter().map(|m| (*m).to_owned()).collect();
            judge(Provided { adapters, missing }, ci)
        };
        let some = || Adapters { hardware: true, ..Adapters::default() };
        assert!(matches!(judged(all(), &[], true), Outcome::Passed));
        assert!(matches!(judged(some(), &["x"], false), Outcome::Incomplete(m) if m == ["x"]));
        assert!(matches!(judged(some(), &["x"], true), Outcome::Failed(_)));
        let none = judged(Adapters::default(), &["x"], false);
        assert!(matches!(none, Outcome::Failed(_)));
    }
}
