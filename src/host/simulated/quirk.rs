//! What GlusterFS 10.3 does that nobody would expect, each by a name.

macro_rules! quirks {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A quirk of GlusterFS 10.3, measured on real hosts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Quirk { $($(#[$doc])* $name,)* }

        impl Quirk {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

quirks! {
    /// One bad option of a `volume set` leaves all of them unset.
    SetIsAtomic,
    /// `volume set all` sets the first pair, ignores the others, and says success.
    PoolSetTakesFirst,
    /// An option value of 4096 bytes or more crashes the glusterd that takes the command.
    LongValueCrashes,
    /// A line break in a value is stored as it is, and glusterd does not start again.
    LineBreakKeepsDown,
    /// `volume reset` knows no `user.` options.
    UserOptionStays,
    /// A failed `volume create` leaves its volume-id on the bricks that were staged before.
    FailedCreateMarks,
    /// `volume delete` leaves the volume-id on the bricks, so that they can't be used again without force.
    DeleteKeepsMark,
    /// A wrong number of bricks for `replica` fails in commit: the originator has the volume on its disk, and knows it after
    /// its glusterd was restarted; the others do not.
    GhostVolume,
    /// A glusterd that starts takes over volumes and options that it missed from its peers.
    StartImports,
    /// No volume can be deleted while any peer is down.
    DeleteNeedsPeers,
    /// Two copies on one host are refused, also when the host goes by two names.
    CopiesOnOneHost,
    /// A brick on the root file system is refused.
    RootPartition,
    /// A brick that is itself a mount point is refused.
    MountPoint,
    /// A brick inside or around the brick of another volume is refused.
    NestedBrick,
    /// A second name of a peer is taken as an alias.
    AliasByProbe,
    /// A host with a pool or volumes of its own can't be probed.
    ForeignPool,
    /// Where server quorum is lost, changes of that volume are refused and its bricks are killed.
    ServerQuorum,
    /// Without server quorum a new volume can be made all the same.
    CreateWithoutQuorum,
    /// Without server quorum of any volume no peer can be added.
    ProbeNeedsQuorum,
    /// Past the limit of open files `volume start` says success and the brick is not online.
    StartLies,
    /// A glusterd that hangs lets `volume info` print an error and then an empty, successful pool.
    HungLooksEmpty,
    /// With ping-timeout 0 a peer that was cut off stays connected, and commands that need it hang.
    SilentPeerHangs,
    /// Such a command leaves its lock behind.
    LockStays,
    /// It goes on, and is done, when the peer is back.
    HungCommandFinishes,
    /// Quota on a volume that only lets privileged clients in: the crawl never ends, and the list can't be read.
    CrawlHangsWhenClosed,
    /// A limit below what is used is accepted.
    LimitBelowUse,
    /// The limit of a directory that was removed stays, and empties the list that names no path.
    LeakedLimit,
    /// An error that the CLI finds by itself ends what it reads from standard input; a refusal of glusterd does not.
    CliErrorEndsBatch,
    /// A brick that has no client at all answers the question for its clients as if it had not been asked, and all after it are left out.
    NoClientsLooksUnasked,
    /// The host that is asked for clients counts each further brick of its own that runs twice.
    OwnBricksCountTwice,
}
