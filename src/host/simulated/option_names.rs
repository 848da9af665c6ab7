//! The options that GlusterFS 10.3 lists (`volume get V all`), by the kind of value that they take.

/// Options of a volume: on, off, yes, no, true, false, enable, disable.
pub(super) const SWITCH: &str = "\
    changelog.capture-del-path changelog.changelog client.bind-insecure client.send-gids client.ssl \
    client.strict-locks cluster.choose-local cluster.consistent-metadata cluster.data-change-log \
    cluster.data-self-heal cluster.disperse-self-heal-daemon cluster.eager-lock cluster.ensure-durability \
    cluster.entry-change-log cluster.entry-self-heal cluster.force-migration cluster.full-lock \
    cluster.granular-entry-heal cluster.halo-enabled cluster.lock-migration cluster.lookup-optimize \
    cluster.lookup-unhashed cluster.metadata-change-log cluster.metadata-self-heal cluster.optimistic-change-log \
    cluster.quorum-reads cluster.randomize-hash-range-by-gfid cluster.readdir-optimize cluster.rebalance-stats \
    cluster.self-heal-daemon cluster.use-anonymous-inode cluster.use-compound-fops cluster.weighted-rebalance \
    config.gfproxyd ctime.noatime debug.delay-gen debug.error-gen debug.log-file debug.log-history \
    debug.random-failure debug.trace dht.force-readdirp diagnostics.count-fop-hits diagnostics.dump-fd-stats \
    diagnostics.latency-measurement disperse.eager-lock disperse.optimistic-change-log disperse.other-eager-lock \
    disperse.parallel-writes features.acl features.barrier features.bitrot features.cache-invalidation \
    features.cloudsync features.cloudsync-remote-read features.ctime features.enforce-mandatory-lock \
    features.inode-quota features.leases features.locks-monkey-unlocking features.locks-notify-contention \
    features.locks-revocation-clear-all features.quota features.quota-deem-statfs features.read-only \
    features.scrub features.sdfs features.selinux features.shard features.show-snapshot-directory \
    features.tag-namespaces features.trash features.trash-internal-op features.uss features.worm \
    features.worm-file-level features.worm-files-deletable ganesha.enable geo-replication.ignore-pid-check \
    geo-replication.indexing locks.mandatory-locking locks.trace network.compression network.compression.debug \
    network.remote-dio nfs.disable performance.cache-capability-xattrs performance.cache-ima-xattrs \
    performance.cache-invalidation performance.cache-samba-metadata performance.cache-swift-metadata \
    performance.client-io-threads performance.ctime-invalidation performance.enable-least-priority \
    performance.flush-behind performance.force-readdirp performance.global-cache-invalidation \
    performance.io-cache performance.io-cache-pass-through performance.iot-cleanup-disconnected-reqs \
    performance.iot-pass-through performance.lazy-open performance.md-cache-pass-through \
    performance.md-cache-statfs performance.nfs.flush-behind performance.nfs.io-cache performance.nfs.io-threads \
    performance.nfs.quick-read performance.nfs.read-ahead performance.nfs.stat-prefetch \
    performance.nfs.strict-o-direct performance.nfs.strict-write-ordering performance.nfs.write-behind \
    performance.nfs.write-behind-trickling-writes performance.nl-cache performance.nl-cache-pass-through \
    performance.nl-cache-positive-entry performance.open-behind performance.open-behind-pass-through \
    performance.parallel-readdir performance.quick-read performance.quick-read-cache-invalidation \
    performance.read-after-open performance.read-ahead performance.read-ahead-pass-through \
    performance.readdir-ahead performance.readdir-ahead-pass-through performance.resync-failed-syncs-after-fsync \
    performance.stat-prefetch performance.strict-o-direct performance.strict-write-ordering \
    performance.write-behind performance.write-behind-pass-through performance.write-behind-trickling-writes \
    rebalance.ensure-durability server.all-squash server.allow-insecure server.dynamic-auth server.manage-gids \
    server.root-squash server.ssl storage.build-pgfid storage.fips-mode-rchecksum storage.gfid2path \
    storage.linux-aio storage.linux-io_uring storage.node-uuid-pathinfo";
/// Options of a volume: a number.
pub(super) const NUMBER: &str = "\
    changelog.changelog-barrier-timeout changelog.fsync-interval changelog.rollover-time client.event-threads \
    client.keepalive-count client.keepalive-interval client.keepalive-time client.tcp-user-timeout \
    cluster.background-self-heal-count cluster.halo-max-latency cluster.halo-max-replicas \
    cluster.halo-min-replicas cluster.halo-nfsd-max-latency cluster.halo-shd-max-latency cluster.heal-timeout \
    cluster.heal-wait-queue-length cluster.post-op-delay-secs cluster.read-hash-mode \
    cluster.self-heal-window-size cluster.shd-max-threads cluster.shd-wait-qlength delay-gen.delay-duration \
    diagnostics.brick-log-buf-size diagnostics.brick-log-flush-timeout diagnostics.client-log-buf-size \
    diagnostics.client-log-flush-timeout diagnostics.fop-sample-buf-size diagnostics.fop-sample-interval \
    diagnostics.stats-dnscache-ttl-sec diagnostics.stats-dump-interval disperse.background-heals \
    disperse.eager-lock-timeout disperse.heal-wait-qlength disperse.other-eager-lock-timeout \
    disperse.quorum-count disperse.self-heal-window-size disperse.shd-max-threads disperse.shd-wait-qlength \
    disperse.stripe-cache features.alert-time features.auto-commit-period features.barrier-timeout \
    features.cache-invalidation-timeout features.default-retention-period features.expiry-time \
    features.hard-timeout features.lease-lock-recall-timeout features.locks-notify-contention-delay \
    features.locks-revocation-max-blocked features.locks-revocation-secs features.shard-deletion-rate \
    features.shard-lru-limit features.signer-threads features.soft-timeout features.timeout \
    network.compression.mem-level network.compression.min-size network.frame-timeout network.inode-lru-limit \
    network.ping-timeout performance.cache-max-file-size performance.cache-min-file-size \
    performance.cache-refresh-timeout performance.high-prio-threads performance.io-thread-count \
    performance.least-prio-threads performance.low-prio-threads performance.md-cache-timeout \
    performance.nl-cache-timeout performance.normal-prio-threads performance.qr-cache-timeout \
    performance.quick-read-cache-timeout performance.rda-low-wmark performance.rda-request-size \
    performance.read-ahead-page-count server.anongid server.anonuid server.event-threads server.gid-timeout \
    server.keepalive-count server.keepalive-interval server.keepalive-time server.outstanding-rpc-limit \
    server.tcp-user-timeout storage.batch-fsync-delay-usec storage.create-directory-mask storage.create-mask \
    storage.force-create-mode storage.force-directory-mode storage.health-check-interval \
    storage.health-check-timeout storage.max-hardlinks storage.reserve transport.keepalive \
    transport.listen-backlog";
/// Options of a volume: bytes, with or without a unit.
pub(super) const SIZE: &str = "\
    cluster.self-heal-readdir-size features.shard-block-size features.trash-max-filesize \
    performance.aggregate-size performance.cache-size performance.io-cache-size \
    performance.nfs.write-behind-window-size performance.nl-cache-limit performance.quick-read-cache-size \
    performance.rda-cache-limit performance.rda-high-wmark performance.write-behind-window-size";
/// Options of a volume: anything, as far as the simulation is concerned.
pub(super) const TEXT: &str = "\
    auth.allow auth.reject auth.ssl-allow changelog.changelog-dir changelog.encoding \
    cluster.data-self-heal-algorithm cluster.dht-xattr-name cluster.extra-hash-regex \
    cluster.favorite-child-policy cluster.local-volume-name cluster.locking-scheme cluster.min-free-disk \
    cluster.min-free-inodes cluster.quorum-count cluster.quorum-type cluster.read-subvolume \
    cluster.read-subvolume-index cluster.rebal-throttle cluster.rsync-hash-regex cluster.subvols-per-directory \
    cluster.switch-pattern debug.error-failure debug.error-fops debug.error-number debug.exclude-ops \
    debug.include-ops delay-gen.delay-percentage delay-gen.enable diagnostics.brick-log-format \
    diagnostics.brick-log-level diagnostics.brick-logger diagnostics.brick-sys-log-level \
    diagnostics.client-log-format diagnostics.client-log-level diagnostics.client-logger \
    diagnostics.client-sys-log-level diagnostics.stats-dump-format disperse.cpu-extensions disperse.read-policy \
    features.cloudsync-product-id features.cloudsync-store-id features.cloudsync-storetype \
    features.default-soft-limit features.failover-hosts features.retention-mode features.scrub-freq \
    features.scrub-throttle features.snapshot-directory features.trash-dir features.trash-eliminate-path \
    network.compression.compression-level network.compression.window-size network.tcp-window-size \
    performance.cache-priority performance.iot-watchdog-secs performance.xattr-cache-list server.own-thread \
    server.statedump-path ssl.ca-list ssl.certificate-depth ssl.cipher-list ssl.crl-path ssl.dh-param \
    ssl.ec-curve ssl.own-cert ssl.private-key storage.batch-fsync-mode storage.gfid2path-separator \
    storage.owner-gid storage.owner-uid transport.address-family";
