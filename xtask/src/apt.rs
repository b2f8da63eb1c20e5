//! Installing packages with apt-get: which commands, or why none.

use std::path::PathBuf;
use std::sync::Once;

use crate::command::{CommandError, CommandLine};
use crate::output;

/// What decides how packages can be installed.
#[derive(Clone, Debug)]
pub struct Installer {
    pub has_apt: bool,
    pub rights: Rights,
    /// `ID` of os-release(5): `debian`, `ubuntu`, ...
    pub distribution: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rights {
    Root,
    Sudo,
    None,
}

/// Why a package is not installed, with what to do.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "cannot be installed with apt-get here: Ubuntu's chromium is a snap, without the driver; \
         Google Chrome's package has it"
    )]
    Snap,
    #[error("no apt-get here; install what your system has for Debian's {packages}")]
    NoApt { packages: String },
    #[error("needs root or sudo to install; as root, run: {command}")]
    NoRights { command: String },
    #[error("not installed because of --no-install; to install it, run: {command}")]
    Forbidden { command: String },
}

/// That the list of packages is new.
static UPDATED: Once = Once::new();

/// Why something is not there.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("not there even after `{command}`")]
    StillMissing { command: String },
}

impl Installer {
    /// The one of this machine.
    pub fn here() -> Self {
        let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let user = CommandLine::new("id", ["-u"]).read().unwrap_or_default();
        let rights = match (user.trim(), find("sudo")) {
            ("0", _) => Rights::Root,
            (_, Some(_)) => Rights::Sudo,
            (_, None) => Rights::None,
        };
        Self {
            has_apt: find("apt-get").is_some(),
            rights,
            distribution: distribution(&os_release).to_owned(),
        }
    }

    /// What `there` finds, packages installed first where it finds nothing and that is allowed.
    pub fn provide<T>(
        &self,
        there: impl Fn() -> Option<T>,
        packages: &[&str],
        allowed: bool,
    ) -> Result<T, InstallError> {
        if let Some(found) = there() {
            return Ok(found);
        }
        let command = self.install(packages, allowed)?;
        UPDATED.call_once(|| {
            // A source that does not answer need not be the one that has the packages.
            if let Err(error) = self.update().run() {
                output::error(error);
            }
        });
        command.run()?;
        there().ok_or_else(|| InstallError::StillMissing { command: command.to_string() })
    }

    /// The command that installs packages.
    fn install(&self, packages: &[&str], allowed: bool) -> Result<CommandLine, Refusal> {
        if self.distribution == "ubuntu" && packages.contains(&"chromium") {
            return Err(Refusal::Snap);
        }
        if !self.has_apt {
            let packages = packages.join(", ");
            return Err(Refusal::NoApt { packages });
        }
        let install = ["install", "-y", "--no-install-recommends"];
        if allowed && self.rights != Rights::None {
            return Ok(self.apt_get(&[&install, packages].concat()));
        }
        let sudo = match self.rights {
            Rights::Sudo => "sudo ",
            Rights::Root | Rights::None => "",
        };
        let packages = packages.join(" ");
        let command = format!("{sudo}apt-get install --no-install-recommends {packages}");
        Err(match allowed {
            true => Refusal::NoRights { command },
            false => Refusal::Forbidden { command },
        })
    }

    /// The command that must come before the first install.
    pub fn update(&self) -> CommandLine {
        self.apt_get(&["update"])
    }

    fn apt_get(&self, words: &[&str]) -> CommandLine {
        // sudo drops the environment, so it is env that sets the variable. A machine that has just
        // started may be busy with its own upgrades: wait for the lock instead of failing.
        let apt_get = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"];
        let words = [&apt_get, words].concat();
        match self.rights {
            Rights::Sudo => CommandLine::new("sudo", [&["env"], &words[..]].concat()),
            Rights::Root | Rights::None => CommandLine::new("env", words),
        }
    }
}

fn distribution(os_release: &str) -> &str {
    let id = os_release.lines().find_map(|line| line.strip_prefix("ID="));
    id.unwrap_or_default().trim().trim_matches(['"', '\''])
}

/// Where a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::SoftwareAdapter;

    fn installer(distribution: &str, rights: Rights) -> Installer {
        Installer { has_apt: true, rights, distribution: distribution.to_owned() }
    }

    #[test]
    fn root_installs_without_asking_anything() {
        let root = installer("debian", Rights::Root);
        assert_eq!(
            root.update().to_string(),
            "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update"
        );
        let install = root.install(SoftwareAdapter::LlvmpipeGl.packages(), true).unwrap();
        assert_eq!(
            install.to_string(),
            "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
             install -y --no-install-recommends libegl1 libgl1-mesa-dri"
        );
    }

    #[test]
    fn another_user_installs_with_sudo() {
        let user = installer("debian", Rights::Sudo);
        let install = user.install(SoftwareAdapter::SwiftShader.packages(), true).unwrap();
        assert_eq!(
            install.to_string(),
            "sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
             install -y --no-install-recommends libvulkan1 chromium"
        );
    }

    #[test]
    fn without_permission_says_what_to_install() {
        for (rights, allowed, text) in [
            (
                Rights::Root,
                false,
                "not installed because of --no-install; to install it, run: \
                 apt-get install --no-install-recommends libvulkan1 mesa-vulkan-drivers",
            ),
            (
                Rights::Sudo,
                false,
                "not installed because of --no-install; to install it, run: \
                 sudo apt-get install --no-install-recommends libvulkan1 mesa-vulkan-drivers",
            ),
            (
                Rights::None,
                true,
                "needs root or sudo to install; as root, run: \
                 apt-get install --no-install-recommends libvulkan1 mesa-vulkan-drivers",
            ),
        ] {
            let refusal = installer("debian", rights).install(SoftwareAdapter::Lavapipe.packages(), allowed);
            assert_eq!(refusal.unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn ubuntu_has_no_package_with_swiftshader() {
        let ubuntu = installer("ubuntu", Rights::Root);
        for allowed in [true, false] {
            let refusal = ubuntu.install(SoftwareAdapter::SwiftShader.packages(), allowed);
            assert_eq!(refusal, Err(Refusal::Snap));
        }
        assert!(ubuntu.install(SoftwareAdapter::Lavapipe.packages(), true).is_ok());
        assert!(ubuntu.install(SoftwareAdapter::LlvmpipeGl.packages(), true).is_ok());
    }

    #[test]
    fn another_package_manager_is_left_to_the_reader() {
        let fedora = Installer { has_apt: false, ..installer("fedora", Rights::Root) };
        let refusal = fedora.install(SoftwareAdapter::Lavapipe.packages(), true).unwrap_err();
        assert!(refusal.to_string().ends_with("Debian's libvulkan1, mesa-vulkan-drivers"));
    }

    #[test]
    fn the_distribution_is_read_from_os_release() {
        assert_eq!(distribution("NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=debian\n"), "debian");
        assert_eq!(distribution("ID=\"ubuntu\"\n"), "ubuntu");
        assert_eq!(distribution(""), "");
    }
}
