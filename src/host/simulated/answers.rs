//! The forms of gluster's answers.

use std::time::Duration;

use crate::gluster::outcome::Output;

pub(super) const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
/// `opErrno` of nearly every failure.
pub(super) const ANY: i32 = 30800;
/// `opErrno` of a lock that somebody else has.
const LOCKED: i32 = 30802;
/// How long the CLI waits for glusterd unless it is told otherwise.
pub(super) const CLI_WAITS: u64 = 120;

/// A program's output.
pub(super) fn text(exit: i32, stdout: &str, stderr: &str) -> Output {
    Output {
        exit: Some(exit),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    }
}

/// One that succeeds without a word.
pub(super) fn silence() -> Output {
    text(0, "", "")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn element(name: &str, content: &str) -> String {
    if content.is_empty() {
        format!("  <{name}/>\n")
    } else {
        format!("  <{name}>{}</{name}>\n", escape(content))
    }
}

/// An answer in XML; `body` stands behind the result as it is.
pub(super) fn xml(result: i32, errno: i32, error: &str, body: &str) -> Output {
    let result = [
        element("opRet", &result.to_string()),
        element("opErrno", &errno.to_string()),
        element("opErrstr", error),
    ];
    let document = format!("{HEAD}<cliOutput>\n{}{body}</cliOutput>\n", result.concat());
    text(0, &document, "")
}

/// Success.
pub(super) fn done(body: &str) -> Output {
    xml(0, 0, "", body)
}

/// What a failed command says besides its sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    Bare,
    /// `volume set`.
    Set,
    /// `volume reset`.
    Reset,
    /// `volume quota`.
    Quota,
    /// `volume status`.
    Status,
}

impl Tail {
    fn body(self, error: &str) -> String {
        match self {
            Self::Bare => String::new(),
            Self::Set => element("cliOp", "volSet") + &element("output", "Set volume unsuccessful"),
            Self::Reset => element("cliOp", "volReset") + &element("output", error),
            Self::Quota => element("cliOp", "volQuota"),
            Self::Status => element("cliOp", "volStatus") + &element("output", error),
        }
    }
}

/// A refusal of glusterd's.
pub(super) fn refused(tail: Tail, error: &str) -> Output {
    xml(-1, ANY, error, &tail.body(error))
}

/// Somebody else's transaction.
pub(super) fn locked(tail: Tail, volume: &str) -> Output {
    let error = format!(
        "Another transaction is in progress for {volume}. Please try again after some time."
    );
    xml(-1, LOCKED, &error, &tail.body(&error))
}

/// A success that names the volume.
pub(super) fn volume(operation: &str, name: &str, id: &str) -> Output {
    done(&format!(
        "  <{operation}>\n    <volume>\n      <name>{name}</name>\n      <id>{id}</id>\n    </volume>\n  </{operation}>\n"
    ))
}

/// `cliOp` and `output` of a success.
pub(super) fn operation(operation: &str, output: &str) -> Output {
    let output = if output.is_empty() {
        String::new()
    } else {
        element("output", output)
    };
    done(&(element("cliOp", operation) + &output))
}

/// What the CLI refuses by itself.
pub(super) fn usage(error: &str, how: &str) -> Output {
    text(1, "", &format!("{error}\n\nUsage:\n{how}\n\n"))
}

/// The CLI gave up waiting, unless somebody gave up waiting for the CLI before.
pub(super) fn timed_out(waits: u64, deadline: Duration) -> Output {
    if deadline < Duration::from_secs(waits) {
        return Output {
            exit: None,
            stderr: format!("no result within {} s", deadline.as_secs_f32()),
            ..Output::default()
        };
    }
    text(1, "Error : Request timed out\n", "")
}

/// No glusterd.
pub(super) fn no_daemon() -> Output {
    text(
        1,
        "Connection failed. Please check if gluster daemon is operational.\n",
        "",
    )
}
