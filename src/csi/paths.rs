//! The paths that a request names: only below the kubelet's directory, and only real ones.
//!
//! The plugin mounts and removes directories as root. A path that leaves the kubelet's directory, by `..` or by a
//! symbolic link, is refused, whoever sent it.

use std::path::{Component, Path, PathBuf};

use super::DRIVER_NAME;
use super::mountinfo::Mounts;
use super::status::Failure;

/// The kubelet's directory: as it is called, and where it really is (it may be a symbolic link itself).
#[derive(Debug, Clone)]
pub struct KubeletDir {
    called: PathBuf,
    real: PathBuf,
}

impl KubeletDir {
    /// Finds out where the directory really is.
    pub async fn open(called: PathBuf) -> std::io::Result<Self> {
        let real = tokio::fs::canonicalize(&called).await?;
        Ok(Self { called, real })
    }

    /// True if a real path lies below the directory.
    pub fn contains(&self, path: &Path) -> bool {
        path.starts_with(&self.real)
    }

    /// True for a real path at which the kubelet has volumes of this driver staged (`CSI`'s staging_target_path since Kubernetes 1.24).
    pub fn is_staging(&self, path: &Path) -> bool {
        let ours = ["plugins", "kubernetes.io", "csi", DRIVER_NAME];
        let below = ours
            .iter()
            .fold(self.real.clone(), |path, part| path.join(part));
        path.strip_prefix(below).is_ok_and(|rest| {
            let mut parts = rest.components();
            let (one, two) = (parts.next(), parts.next());
            one.is_some()
                && two.is_some_and(|name| name.as_os_str() == "globalmount")
                && parts.next().is_none()
        })
    }

    /// The real path of what a request names in `field`. It does not have to exist.
    pub fn resolve(&self, field: &'static str, text: &str) -> Result<PathBuf, Failure> {
        if text.is_empty() {
            return Err(Failure::invalid(field, "is missing"));
        }
        if text.len() > 1000 || text.chars().any(char::is_control) {
            return Err(Failure::invalid(field, "is not a path that we use"));
        }
        let path = Path::new(text);
        let plain = path.is_absolute()
            && !text.split('/').any(|part| part == "." || part == "..")
            && path
                .components()
                .all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
        let below = path
            .strip_prefix(&self.called)
            .or_else(|_| path.strip_prefix(&self.real));
        match below {
            Ok(below) if plain && below.components().next().is_some() => Ok(self.real.join(below)),
            _ => Err(Failure::invalid(
                field,
                format!("is not a plain path below {}", self.called.display()),
            )),
        }
    }

    /// Refuses a path that passes through a symbolic link or through a network file system, where a look at it could
    /// hang. The last part is looked at only when nothing is mounted there.
    pub async fn check_real(
        &self,
        field: &'static str,
        path: &Path,
        mounts: &Mounts,
    ) -> Result<(), Failure> {
        let below = path.strip_prefix(&self.real).unwrap_or(path);
        let mut at = self.real.clone();
        for part in below.components() {
            at.push(part);
            if let Some(mount) = mounts.at(&at) {
                if at == path {
                    return Ok(());
                }
                if mount.fs_type.starts_with("fuse") || mount.fs_type.starts_with("nfs") {
                    return Err(Failure::invalid(
                        field,
                        format!("is inside the mount {}", at.display()),
                    ));
                }
            }
            match tokio::fs::symlink_metadata(&at).await {
                Ok(found) if found.is_dir() => {}
                Ok(_) => {
                    return Err(Failure::invalid(
                        field,
                        format!("has {}, no directory", at.display()),
                    ));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(Failure::io(format!("look at {}", at.display()))(error)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_plain_paths_below_the_directory_pass() {
        let base =
            std::env::temp_dir().join(format!("gluster-operator-paths-{}", std::process::id()));
        std::fs::create_dir_all(base.join("real/pods/a")).unwrap();
        std::os::unix::fs::symlink("real", base.join("link")).unwrap();
        std::os::unix::fs::symlink("/etc", base.join("real/pods/evil")).unwrap();
        std::fs::write(base.join("real/pods/file"), "x").unwrap();
        let dir = KubeletDir::open(base.join("link")).await.unwrap();
        let real = std::fs::canonicalize(base.join("real")).unwrap();
        let called = |below: &str| format!("{}/link{below}", base.display());

        assert_eq!(
            dir.resolve("p", &called("/pods/a/m")).unwrap(),
            real.join("pods/a/m")
        );
        assert_eq!(
            dir.resolve("p", &format!("{}/pods/a/m", real.display()))
                .unwrap(),
            real.join("pods/a/m")
        );
        for bad in [
            "",
            "/pods/..",
            "/pods/../../x",
            "/./pods",
            "/pods/a\n",
            "/a\0b",
        ] {
            assert!(dir.resolve("p", &called(bad)).is_err(), "{bad:?}");
        }
        let long = called(&"/x".repeat(1000));
        for bad in ["", "pods/a", "/etc/passwd", "/", &long] {
            assert!(dir.resolve("p", bad).is_err(), "{bad:?}");
        }

        for (path, ours) in [
            (
                "plugins/kubernetes.io/csi/csi.gluster-operator.io/0a/globalmount",
                true,
            ),
            (
                "plugins/kubernetes.io/csi/csi.gluster-operator.io/0a/globalmount/x",
                false,
            ),
            (
                "plugins/kubernetes.io/csi/csi.gluster-operator.io/globalmount",
                false,
            ),
            ("plugins/kubernetes.io/csi/other/0a/globalmount", false),
            ("pods/0a/volumes/kubernetes.io~csi/pv/mount", false),
        ] {
            assert_eq!(dir.is_staging(&real.join(path)), ours, "{path}");
        }
        let none = Mounts::default();
        for (path, good) in [
            ("pods/a", true),
            ("pods/a/not/yet", true),
            ("pods/evil", false),
            ("pods/evil/cron.d", false),
            ("pods/file", false),
        ] {
            let checked = dir.check_real("p", &real.join(path), &none).await;
            assert_eq!(checked.is_ok(), good, "{path}: {checked:?}");
        }
        std::fs::remove_dir_all(&base).unwrap();
    }
}
