//! What the answer of a command lets us conclude: done, done before, not there, busy, refused, or unknown.

/// What a program on a host left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Its exit status; `None` when it is not known how it ended: killed, cut off, past its deadline.
    pub exit: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Groups of commands whose answers follow the same rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `system:: uuid get`
    SystemUuid,
    /// `peer probe`
    PeerProbe,
    /// `volume create`
    VolumeCreate,
    /// `volume set`, also of `all`
    VolumeSet,
    /// `volume reset`
    VolumeReset,
    /// `volume start`
    VolumeStart,
    /// `volume stop`
    VolumeStop,
    /// `volume delete`
    VolumeDelete,
    /// `volume quota V enable`
    QuotaEnable,
    /// `volume quota V limit-usage`
    QuotaLimit,
    /// `volume quota V remove`
    QuotaRemove,
    /// `volume quota V list`
    QuotaList,
    /// `volume status`
    VolumeStatus,
    /// `get-state`
    GetState,
    /// What we never issue.
    Other,
}

impl Family {
    /// The words of the command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SystemUuid => "system uuid get",
            Self::PeerProbe => "peer probe",
            Self::VolumeCreate => "volume create",
            Self::VolumeSet => "volume set",
            Self::VolumeReset => "volume reset",
            Self::VolumeStart => "volume start",
            Self::VolumeStop => "volume stop",
            Self::VolumeDelete => "volume delete",
            Self::QuotaEnable => "volume quota enable",
            Self::QuotaLimit => "volume quota limit-usage",
            Self::QuotaRemove => "volume quota remove",
            Self::QuotaList => "volume quota list",
            Self::VolumeStatus => "volume status",
            Self::GetState => "get-state",
            Self::Other => "other",
        }
    }
}

/// What may be concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// It was done, or what was read can be trusted.
    Ok,
    /// It had been done before.
    Already,
    /// What it is about is not there, as this host sees it.
    Absent,
    /// Somebody else is at it; the same command may work later.
    Busy,
    /// Gluster said no; the same command will be refused again unless something changes.
    Refused,
    /// Nothing may be concluded: it may have been done, or not, or be under way.
    Unknown,
}

/// A classified answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What may be concluded.
    pub class: Class,
    /// Why, as a fixed word: `transaction`, `peer-down`, `timed-out`; empty when there is nothing to say.
    pub detail: &'static str,
    /// Gluster's own words, one line.
    pub message: String,
}

impl Outcome {
    /// True when the wish is fulfilled, by this command or before.
    pub fn is_done(&self) -> bool {
        matches!(self.class, Class::Ok | Class::Already)
    }
}

/// Classifies the answer of a `gluster --mode=script --xml` command.
pub fn classify(_family: Family, _output: &Output) -> Outcome {
    Outcome {
        class: Class::Unknown,
        detail: "",
        message: String::new(),
    }
}
