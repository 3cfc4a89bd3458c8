//! File systems of a test's own: an image in a folder, mounted through a loop device.
//!
//! Why here: a disk that is full, read-only or loses its power is made with the real thing, which
//! takes root. Where that cannot be, a test is skipped, loudly; with `RECOUP_MOUNTS=required` it
//! fails instead.
//!
//! What must stay true: what was mounted is unmounted, also when a test panics.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system.
pub(crate) struct Mounted {
    kind: &'static str,
    image: PathBuf,
    at: PathBuf,
}

impl Mounted {
    /// A new file system of this kind (`ext4`, `xfs`) in `folder`, mounted at its `name`. `None`:
    /// it cannot be had here, and that was said.
    pub(crate) fn new(kind: &'static str, folder: &Path, name: &str) -> Option<Self> {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        // As the kernel lists it.
        let at = folder.join(name).canonicalize().unwrap();
        let mounted = Self { kind, image: folder.join(format!("{name}.img")), at };
        match mounted.format() {
            Ok(()) => Some(mounted),
            Err(why) => {
                assert!(
                    std::env::var("RECOUP_MOUNTS").as_deref() != Ok("required"),
                    "no {kind} of a test's own: {why}"
                );
                // Not a print: those of a test that passes are not shown.
                let said = format!("SKIPPED: a test needs an {kind} of its own: {why}\n");
                std::io::stderr().write_all(said.as_bytes()).unwrap();
                None
            }
        }
    }

    /// Makes it anew, empty, and mounts it.
    fn format(&self) -> Result<(), String> {
        self.unmount();
        // Below 300 MiB xfs refuses; the image is sparse.
        let image = std::fs::File::create(&self.image).unwrap();
        image.set_len(320 << 20).unwrap();
        let force = if self.kind == "ext4" { "-F" } else { "-f" };
        run(Command::new(format!("mkfs.{}", self.kind)).args(["-q", force]).arg(&self.image))?;
        self.mount()
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.at
    }

    /// The power goes: what is not on the disk is lost, and nothing can be written any more.
    pub(crate) fn cut_the_power(&self) {
        run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.at)).unwrap();
    }

    /// The power comes back.
    pub(crate) fn comes_back(&self) {
        self.unmount();
        self.mount().unwrap();
    }

    /// From now on with this option, as `ro` or `rw`.
    pub(crate) fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        run(Command::new("mount").args(["-o", &option]).arg(&self.at)).unwrap();
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.at))
    }

    fn unmount(&self) {
        let is_mounted = || {
            let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
            mounts.contains(&format!(" {} ", self.at.display()))
        };
        for _ in 0..100 {
            if !is_mounted() {
                return;
            }
            // A process that was just killed may hold it a moment longer.
            if run(Command::new("umount").arg(&self.at)).is_err() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        run(Command::new("umount").arg("-l").arg(&self.at)).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let ran = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match ran.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&ran.stderr).trim().to_owned()),
    }
}
