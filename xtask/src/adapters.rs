//! Which graphics adapters a Linux machine has, judged by the files that are there.
//!
//! No graphics library is linked, so that this program is built in seconds: whether the adapters
//! open is for the tests to say.

use std::path::{Path, PathBuf};

/// The names in a directory; none when it is not there.
pub type List<'a> = &'a dyn Fn(&Path) -> Vec<String>;

/// An adapter that computes on the processor. The tests run on each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SoftwareAdapter {
    Lavapipe,
    SwiftShader,
    LlvmpipeGl,
}

impl SoftwareAdapter {
    pub const ALL: [Self; 3] = [Self::Lavapipe, Self::SwiftShader, Self::LlvmpipeGl];

    pub fn title(self) -> &'static str {
        match self {
            Self::Lavapipe => "lavapipe (Vulkan)",
            Self::SwiftShader => "SwiftShader (Vulkan)",
            Self::LlvmpipeGl => "llvmpipe (OpenGL)",
        }
    }

    /// What the tests call it in `LOOKAHEAD_REQUIRE_ADAPTERS`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Lavapipe => "llvmpipe-vulkan",
            Self::SwiftShader => "swiftshader",
            Self::LlvmpipeGl => "llvmpipe-gl",
        }
    }

    /// The Debian packages that make it work, recommended ones not needed.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Lavapipe => &["libvulkan1", "mesa-vulkan-drivers"],
            Self::SwiftShader => &["libvulkan1", "chromium"],
            Self::LlvmpipeGl => &["libegl1", "libgl1-mesa-dri"],
        }
    }
}

/// The adapters of a machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adapters {
    pub lavapipe: bool,
    /// SwiftShader's driver file, which the Vulkan loader must be told of.
    pub swiftshader: Option<PathBuf>,
    /// Mesa's EGL vendor file, by which EGL can be told to use Mesa.
    pub llvmpipe_gl: Option<PathBuf>,
    pub hardware: bool,
}

impl Adapters {
    pub fn has(&self, adapter: SoftwareAdapter) -> bool {
        match adapter {
            SoftwareAdapter::Lavapipe => self.lavapipe,
            SoftwareAdapter::SwiftShader => self.swiftshader.is_some(),
            SoftwareAdapter::LlvmpipeGl => self.llvmpipe_gl.is_some(),
        }
    }

    pub fn any(&self) -> bool {
        self.hardware || SoftwareAdapter::ALL.into_iter().any(|a| self.has(a))
    }
}

/// Chromium and Chrome carry SwiftShader in their own folder, where the loader does not look.
const BROWSERS: [&str; 3] = ["/usr/lib/chromium", "/usr/lib64/chromium-browser", "/opt/google/chrome"];
const VULKAN_DRIVERS: [&str; 3] =
    ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
const EGL_VENDORS: [&str; 2] = ["/usr/share/glvnd/egl_vendor.d", "/etc/glvnd/egl_vendor.d"];

/// The adapters of this machine.
pub fn find_here() -> Adapters {
    find(&list, std::env::consts::ARCH)
}

fn list(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The adapters of a machine of an architecture (`x86_64`, `aarch64`) with these files.
pub fn find(list: List<'_>, arch: &str) -> Adapters {
    let multiarch = format!("/usr/lib/{arch}-linux-gnu");
    let libraries = [multiarch.as_str(), "/usr/lib64", "/usr/lib", "/usr/local/lib"];
    let has = |directory: &str, name: &str| list(Path::new(directory)).iter().any(|n| n == name);
    let library = |name: &str| libraries.iter().any(|directory| has(directory, name));
    let drivers: Vec<String> = VULKAN_DRIVERS
        .iter()
        .flat_map(|directory| list(Path::new(directory)))
        .filter(|name| name.ends_with(".json"))
        .collect();
    let loader = library("libvulkan.so.1");

    let lavapipe_files = ["lvp_icd.json".to_owned(), format!("lvp_icd.{arch}.json")];
    let swiftshader = BROWSERS
        .iter()
        .find(|browser| has(browser, "vk_swiftshader_icd.json") && has(browser, "libvk_swiftshader.so"));
    let egl_vendor = EGL_VENDORS.iter().find(|v| has(v, "50_mesa.json"));
    let egl = library("libEGL.so.1") && library("libEGL_mesa.so.0");
    // Older Mesa has a file per driver, newer Mesa one library with all of them.
    let llvmpipe = libraries.iter().any(|directory| {
        has(&format!("{directory}/dri"), "swrast_dri.so")
            || list(Path::new(directory)).iter().any(|name| name.starts_with("libgallium-"))
    });
    // Mesa's packages bring the drivers of devices that are not there: ask for the device as well.
    let device = list(Path::new("/dev/dri")).iter().any(|name| name.starts_with("renderD"))
        || ["nvidia0", "dxg"].iter().any(|name| has("/dev", name));
    let device_driver = drivers.iter().any(|name| !name.starts_with("lvp_icd"));

    Adapters {
        lavapipe: loader && drivers.iter().any(|name| lavapipe_files.contains(name)),
        swiftshader: swiftshader
            .filter(|_| loader)
            .map(|browser| Path::new(browser).join("vk_swiftshader_icd.json")),
        llvmpipe_gl: egl_vendor
            .filter(|_| egl && llvmpipe)
            .map(|directory| Path::new(directory).join("50_mesa.json")),
        hardware: loader && device && device_driver,
    }
}

/// Turns off Mesa's Vulkan layer that asks the desktop which device is its own. Without a desktop
/// it has no one to ask, and complains of that as an error each time Vulkan is opened.
pub fn quiet_device_select() -> (&'static str, String) {
    ("NODEVICE_SELECT", "1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a machine with only these files has.
    fn with(files: &[&str]) -> Adapters {
        let list = |directory: &Path| {
            let inside = files.iter().map(Path::new).filter(|file| file.parent() == Some(directory));
            inside.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect()
        };
        find(&list, "x86_64")
    }

    const LOADER: &str = "/usr/lib/x86_64-linux-gnu/libvulkan.so.1";
    const LAVAPIPE: &str = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";
    const RADEON: &str = "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json";

    #[test]
    fn a_bare_machine_has_none() {
        assert_eq!(with(&[]), Adapters::default());
        assert!(!with(&[]).any());
    }

    #[test]
    fn lavapipe_needs_the_loader_and_a_driver_of_this_architecture() {
        assert!(with(&[LOADER, LAVAPIPE]).lavapipe);
        assert!(with(&[LOADER, "/usr/share/vulkan/icd.d/lvp_icd.json"]).lavapipe);
        assert!(!with(&[LAVAPIPE]).any());
        assert!(!with(&[LOADER, "/usr/share/vulkan/icd.d/lvp_icd.i686.json"]).any());
    }

    #[test]
    fn swiftshader_is_found_in_a_browser() {
        let icd = "/usr/lib/chromium/vk_swiftshader_icd.json";
        let library = "/usr/lib/chromium/libvk_swiftshader.so";
        assert_eq!(with(&[LOADER, icd, library]).swiftshader, Some(icd.into()));
        assert_eq!(with(&[LOADER, icd]).swiftshader, None);
        assert_eq!(with(&[icd, library]).swiftshader, None);
    }

    #[test]
    fn llvmpipe_needs_egl_and_a_rasterizer() {
        let vendor = "/usr/share/glvnd/egl_vendor.d/50_mesa.json";
        let egl =
            [vendor, "/usr/lib/x86_64-linux-gnu/libEGL.so.1", "/usr/lib/x86_64-linux-gnu/libEGL_mesa.so.0"];
        assert_eq!(with(&egl).llvmpipe_gl, None);
        for rasterizer in [
            "/usr/lib/x86_64-linux-gnu/dri/swrast_dri.so",
            "/usr/lib/x86_64-linux-gnu/libgallium-25.0.7-2.so",
        ] {
            let files = [&egl[..], &[rasterizer]].concat();
            assert_eq!(with(&files).llvmpipe_gl, Some(vendor.into()));
            assert_eq!(with(&files[1..]).llvmpipe_gl, None);
        }
    }

    #[test]
    fn hardware_needs_its_device_and_its_driver() {
        assert!(with(&[LOADER, RADEON, "/dev/dri/renderD128"]).hardware);
        assert!(with(&[LOADER, "/etc/vulkan/icd.d/nvidia_icd.json", "/dev/nvidia0"]).hardware);
        assert!(!with(&[LOADER, RADEON, LAVAPIPE]).hardware);
        assert!(!with(&[LOADER, LAVAPIPE, "/dev/dri/renderD128"]).hardware);
    }
}
