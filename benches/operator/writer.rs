//! A neighbour that writes: 4 KiB with fsync every 50 ms, as a database's log does.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::gluster_lab::GlusterLab;

/// Bricks ask a quota daemon that is away for 60 s, and then go on.
const PATIENCE: Duration = Duration::from_secs(120);

/// What [`run`] is asked for on the command line.
pub const ARGUMENT: &str = "--write-for-ever";

/// Writes into a file of that directory until it is told to stop, and says how long each write took, in seconds.
pub fn run(directory: &str) {
    let path = Path::new(directory).join("log");
    let going = going(directory);
    std::fs::write(&going, "").expect("/run can be written");
    let mut file = std::fs::File::create(path).expect("a file");
    let mut out = std::io::stdout();
    for at in 0_u64.. {
        let started = Instant::now();
        let result = file.write_all(&[7; 4096]).and_then(|()| file.sync_all());
        let took = started.elapsed();
        // a write that fails at once is worse than any that is slow
        let seconds = match result {
            Ok(()) => took.as_secs_f64(),
            Err(error) => {
                eprintln!("write {at}: {error}");
                f64::INFINITY
            }
        };
        if writeln!(out, "{seconds:.4}").is_err() {
            return;
        }
        if at % 1000 == 999 {
            let _ = file.set_len(0);
        }
        std::thread::sleep(Duration::from_millis(50).saturating_sub(took));
        if !Path::new(&going).exists() {
            return;
        }
    }
}

/// The file, private to the host, that is there as long as the writer shall go on: it lives in another pid namespace.
fn going(directory: &str) -> String {
    format!("/run/writing{}", directory.replace('/', "-"))
}

/// A writer in a host of the lab.
pub struct Writer<'a> {
    gluster: &'a GlusterLab,
    host: String,
    going: String,
    child: Child,
    log: std::path::PathBuf,
    seen: std::cell::Cell<usize>,
}

impl<'a> Writer<'a> {
    pub fn start(gluster: &'a GlusterLab, host: &str, directory: &str) -> Self {
        let log = gluster
            .dir()
            .join(format!("{}.writes", directory.replace('/', "-")));
        let program = std::env::current_exe().expect("this program");
        let program = program.to_str().expect("a path in UTF-8");
        let file = std::fs::File::create(&log).expect("a log");
        let child = gluster.start(
            host,
            &[program, ARGUMENT, directory],
            file.into(),
            Stdio::inherit(),
        );
        Self {
            gluster,
            host: host.to_owned(),
            going: going(directory),
            child,
            log,
            seen: std::cell::Cell::new(0),
        }
    }

    /// The longest write since the last time that this was asked, in seconds; infinite where one failed. A write that is under way now counts, too: it is
    /// waited for, since a stall would else be missed.
    pub fn worst(&self) -> f64 {
        let under_way = self.times().len();
        let begin = Instant::now();
        let times = loop {
            let times = self.times();
            if times.len() > under_way {
                break times;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "the neighbour wrote nothing for {PATIENCE:?} in {}",
                self.gluster.dir().display()
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        let new = &times[self.seen.replace(times.len())..];
        new.iter().copied().fold(0.0, f64::max)
    }

    fn times(&self) -> Vec<f64> {
        let text = std::fs::read_to_string(&self.log).expect("the log");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.gluster.sh(&self.host, &["rm", "-f", &self.going]);
        let _ = self.child.wait();
    }
}
