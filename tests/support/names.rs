//! Names for labs that may run side by side on one machine, and what has to be there to run one.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// The name, the network and the directory of one lab, held for as long as a clone of this value lives.
///
/// A gluster lab and a Kubernetes lab with the same names are on the same bridge. No other process has these names at
/// the same time: each number is guarded by a lock on a file, and the lock of a killed process is free. What such
/// a process left behind under the number is brought down before the number is used again; `hack/clean-labs.sh` does
/// the same for all numbers.
#[derive(Clone, Debug)]
pub struct LabNames {
    /// `GLH_PREFIX`: the start of the names of network namespaces, links and cgroups; at most 5 characters.
    pub prefix: String,
    /// `GLH_NET`: the first three numbers of every host's address, such as `10.101.0`; the /16 around it is the lab's.
    pub net: String,
    /// State of the labs is below it: `gluster`, `kube`; files of the test's own may go there, too.
    pub dir: PathBuf,
    lock: Arc<File>,
}

/// Numbers of test labs: the second number of their addresses. The demo has 76.
const NUMBERS: std::ops::RangeInclusive<u8> = 100..=199;

impl LabNames {
    /// Names that no lab on this machine has now. `test` is for people who look at the directories of a running test.
    ///
    /// # Panics
    /// When all numbers are taken, or the machine's temporary directory can't be written.
    pub fn unique(test: &str) -> Self {
        let locks = std::env::temp_dir().join("gluster-operator-labs");
        std::fs::create_dir_all(&locks).expect("the temporary directory can be written");
        for number in NUMBERS {
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(locks.join(format!("{number}.lock")))
                .expect("a lock file can be opened");
            if lock.try_lock().is_err() {
                continue;
            }
            let names = Self {
                prefix: format!("t{number}"),
                net: format!("10.{number}.0"),
                dir: locks.join(number.to_string()),
                lock: Arc::new(lock),
            };
            if names.dir.exists() {
                names.down(); // left by a process that was killed
            }
            std::fs::create_dir_all(&names.dir).expect("the directory of the lab can be made");
            std::fs::write(names.dir.join("test"), test)
                .expect("the directory of the lab can be written");
            return names;
        }
        panic!("all {} numbers of test labs are taken", NUMBERS.count());
    }

    /// The settings of the lab scripts: `GLH_PREFIX`, `GLH_NET`, `GLH_DIR`, `KLAB_DIR`, `GLH_SIZE`; and `GLH_NOGEOREP`, unless our
    /// own environment has it: nothing here replicates to other continents, and the CPU it takes is half of the time of
    /// all labs together. The hosts of the demo, which is a test, too, and of the measurements have it.
    pub fn settings(&self) -> [(&'static str, PathBuf); 6] {
        let no_georep = std::env::var_os("GLH_NOGEOREP").unwrap_or_else(|| "1".into());
        [
            ("GLH_PREFIX", self.prefix.clone().into()),
            ("GLH_NET", self.net.clone().into()),
            ("GLH_DIR", self.dir.join("gluster")),
            ("KLAB_DIR", self.dir.join("kube")),
            ("GLH_SIZE", "4G".into()),
            ("GLH_NOGEOREP", no_georep.into()),
        ]
    }

    /// The lab script `name` with these names, ready for its arguments.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new("bash");
        command.arg(path_of(name));
        command.envs(self.settings());
        command
    }

    /// A process that runs the script's `down` when its standard input ends: when [`dismiss`] is called, or when the test's
    /// process is gone for whatever reason.
    pub fn guardian(&self, script: &str) -> Child {
        use std::os::unix::process::CommandExt as _;
        let mut down = Command::new("bash");
        down.args(["-c", "read -r _; bash \"$0\" down >&2"])
            .arg(path_of(script))
            .envs(self.settings());
        // a group of its own: the interrupt key of a terminal must not end it
        down.process_group(0).stdin(Stdio::piped());
        // it holds the lock, too: nobody may take the number before the lab is down
        down.stdout(Stdio::from(
            self.lock.try_clone().expect("a file descriptor is left"),
        ));
        down.spawn().expect("bash starts")
    }

    /// Takes down whatever runs under these names; says on standard error what could not be.
    pub fn down(&self) {
        for script in ["kubernetes.sh", "gluster-hosts.sh"] {
            match self.script(script).arg("down").output() {
                Ok(output) if output.status.success() => {}
                Ok(output) => {
                    eprintln!(
                        "{script} down: {}",
                        String::from_utf8_lossy(&output.stderr).trim()
                    );
                }
                Err(error) => eprintln!("{script} down: {error}"),
            }
        }
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            eprintln!("{}: {error}", self.dir.display());
        }
    }
}

impl Drop for LabNames {
    fn drop(&mut self) {
        // the last clone: the labs are down, so nothing but files of the test is left
        if Arc::strong_count(&self.lock) == 1 {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// The path of a lab script.
pub fn path_of(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/lab")
        .join(script)
}

/// Lets a guardian take its lab down, and waits for that.
pub fn dismiss(guardian: &mut Child, names: &LabNames) {
    drop(guardian.stdin.take());
    if !guardian.wait().is_ok_and(|status| status.success()) {
        eprintln!("the lab in {} may not be down", names.dir.display());
    }
}

/// Whether a lab that needs `programs` and root can be brought up. When not: says what is missing, and panics under
/// `CI=true`.
pub fn prerequisites(programs: &[&str]) -> bool {
    let missing = missing(programs);
    if let Some(missing) = &missing {
        skip(missing);
    }
    missing.is_none()
}

/// Which of root and `programs` is missing on this machine, in words; `None` when all is there.
pub fn missing(programs: &[&str]) -> Option<String> {
    let mut missing: Vec<String> = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push("root".to_owned());
    }
    for program in programs.iter().filter(|program| !installed(program)) {
        missing.push(format!("the program {program}"));
    }
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// Says on the terminal that a test is skipped for lack of `what`; panics under `CI=true`.
pub fn skip(what: &str) {
    use std::io::Write as _;
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "missing: {what}"
    );
    // not eprintln: the test harness would swallow it
    let _ = writeln!(std::io::stderr(), "skipped: needs {what}");
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let fixed = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(fixed)
        .any(|dir| dir.join(program).is_file())
}
