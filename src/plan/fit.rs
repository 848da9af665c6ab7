//! Spreads the bricks of a volume over hosts and their devices.
//!
//! What must hold: no two bricks of a set on one host; no more bricks of a set in one zone than the zones of the pool make
//! necessary, which is one where there are zones enough; on each device only what fits. What is wished for, in this order: go on
//! with what was begun, spread over hosts, use the emptiest. Each brick is chosen so that the rest still fits: what fits at
//! all is found.

use std::cmp::Reverse;

use crate::gluster::names::BRICKS_ON_A_DEVICE;
use crate::gluster::operation::SetShape;

/// What is known of a device that can take bricks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Room {
    /// Bytes that bricks may use.
    pub free: u64,
    /// Numbers of the bricks of this volume that were begun there.
    pub begun: Vec<u32>,
    /// Numbers of the bricks that go there now.
    pub taken: Vec<u32>,
}

/// A host that can take bricks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    /// What fails together with it, as a number.
    pub zone: usize,
    /// Its devices.
    pub rooms: Vec<Room>,
    /// How many more bricks it can run.
    pub limit: u64,
}

/// Where a brick goes: the host and its device, by their places in the lists; and the number of the brick among those of
/// this volume on that device, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The host.
    pub site: usize,
    /// Its device.
    pub room: usize,
    /// Which of the volume's bricks there.
    pub number: u32,
}

/// What is to be spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// A set.
    pub shape: SetShape,
    /// How many of them.
    pub sets: usize,
    /// Bytes for a brick with data.
    pub data: u64,
    /// Bytes for an arbiter.
    pub arbiter: u64,
    /// How many bricks of a set may lie in one zone.
    pub per_zone: usize,
}

impl Load {
    /// Bricks with data in a set.
    fn data_bricks(&self) -> usize {
        (0..self.shape.size() as usize)
            .filter(|at| !self.shape.is_arbiter(*at))
            .count()
    }
}

impl Room {
    fn fits(&self, bytes: u64) -> u64 {
        let left = u64::from(BRICKS_ON_A_DEVICE)
            - (self.taken.len() as u64).min(u64::from(BRICKS_ON_A_DEVICE));
        self.free
            .checked_div(bytes)
            .map_or(left, |count| left.min(count))
    }

    /// The number of the next brick: one that was begun, else the first that is not used.
    fn next(&self) -> (bool, u32) {
        let begun = self
            .begun
            .iter()
            .filter(|number| !self.taken.contains(number))
            .min();
        if let Some(number) = begun {
            return (true, *number);
        }
        let is_free = |number: &u32| !self.taken.contains(number) && !self.begun.contains(number);
        (
            false,
            (1..=BRICKS_ON_A_DEVICE)
                .find(is_free)
                .unwrap_or(BRICKS_ON_A_DEVICE),
        )
    }
}

impl Site {
    /// How many bricks of that size it can still take.
    pub fn fits(&self, bytes: u64) -> u64 {
        let rooms: u64 = self.rooms.iter().map(|room| room.fits(bytes)).sum();
        rooms.min(self.limit)
    }

    /// How many bricks were begun there and are not placed yet.
    fn begun(&self) -> usize {
        let waits = |room: &Room| {
            let waiting = room.begun.iter().filter(|one| !room.taken.contains(one));
            waiting.count()
        };
        self.rooms.iter().map(waits).sum()
    }

    fn taken(&self) -> usize {
        self.rooms.iter().map(|room| room.taken.len()).sum()
    }

    fn free(&self) -> u64 {
        self.rooms.iter().map(|room| room.free).max().unwrap_or(0)
    }

    /// The device for the next brick: where one was begun, then with the fewest of this volume, then the emptiest.
    fn best(&self, bytes: u64) -> Option<usize> {
        (0..self.rooms.len())
            .filter(|at| self.rooms[*at].fits(bytes) > 0)
            .min_by_key(|at| {
                let room = &self.rooms[*at];
                (!room.next().0, room.taken.len(), Reverse(coarse(room.free)))
            })
    }

    fn take(&mut self, bytes: u64) -> Option<(usize, u32)> {
        let at = self.best(bytes).filter(|_| self.limit > 0)?;
        let room = &mut self.rooms[at];
        let (_, number) = room.next();
        room.taken.push(number);
        room.free = room.free.saturating_sub(bytes);
        self.limit -= 1;
        Some((at, number))
    }
}

/// Powers of two: what differs by less counts as equally empty, else all new volumes would go to the one host with a
/// little more.
fn coarse(free: u64) -> u32 {
    free.checked_ilog2().map_or(0, |power| power + 1)
}

/// How many bricks of a set may lie in one zone, so that a set finds its hosts: 1 where there are zones enough. From all hosts
/// with devices, whether or not they answer now, by their zones. `None`: there are not enough hosts.
pub fn per_zone(size: usize, zones: &[usize]) -> Option<usize> {
    let count = zones.iter().max().map_or(0, |last| last + 1);
    let mut hosts = vec![0; count];
    for zone in zones {
        hosts[*zone] += 1;
    }
    (1..=size).find(|most| hosts.iter().map(|hosts| hosts.min(most)).sum::<usize>() >= size)
}

/// How many bricks of `sets` sets find room, by the room of each host for them: a host has one brick of a set at most, a zone
/// `per_zone`. `sets` sets of n bricks fit exactly when this is at least `sets * n`.
pub fn room(sites: &[Site], fits: &[u64], sets: usize, most: usize) -> u64 {
    let zones = sites
        .iter()
        .map(|site| site.zone)
        .max()
        .map_or(0, |z| z + 1);
    let mut sums = vec![0_u64; zones];
    for (site, fits) in sites.iter().zip(fits) {
        sums[site.zone] += (*fits).min(sets as u64);
    }
    let cap = (most as u64).saturating_mul(sets as u64);
    sums.into_iter().map(|sum| sum.min(cap)).sum()
}

/// Where each brick goes, set by set in gluster's order: the last of a set is its arbiter. Hosts are preferred in the order of
/// the list where nothing else tells them apart. `None`: it does not fit.
pub fn spread(load: &Load, sites: &[Site]) -> Option<Vec<Spot>> {
    let mut sites = sites.to_vec();
    let mut spots = Vec::new();
    for set in 0..load.sets {
        let later = load.sets - set - 1;
        let mut chosen: Vec<usize> = Vec::new();
        for at in 0..load.shape.size() as usize {
            let arbiter = load.shape.is_arbiter(at);
            let bytes = if arbiter { load.arbiter } else { load.data };
            let missing = load.data_bricks().saturating_sub(at + 1);
            let mut order: Vec<usize> = (0..sites.len())
                .filter(|one| allowed(load, &sites, &chosen, *one) && sites[*one].fits(bytes) > 0)
                .collect();
            order.sort_by_key(|one| {
                (
                    Reverse(urgency(load, &sites, *one)),
                    wish(&sites[*one], arbiter),
                )
            });
            let site = order.into_iter().find(|one| {
                let before = sites[*one].clone();
                let took = sites[*one].take(bytes).is_some();
                chosen.push(*one);
                let completes = took && completes(load, &sites, &chosen, missing, later);
                chosen.pop();
                sites[*one] = before;
                completes
            })?;
            let (room, number) = sites[site].take(bytes)?;
            chosen.push(site);
            spots.push(Spot { site, room, number });
        }
        // in the order of the list, so that it is the same when a creation is gone on with; the arbiter stays the last
        let first = spots.len() - load.shape.size() as usize;
        spots[first..first + load.data_bricks()].sort_by_key(|spot| spot.site);
    }
    Some(spots)
}

/// How many sets there have to be that each take a brick begun in the zone of that host, or on it, so that none is left behind;
/// and how many on it. 0 where none was.
fn urgency(load: &Load, sites: &[Site], one: usize) -> (usize, usize) {
    let own = sites[one].begun();
    let zone = sites.iter().filter(|site| site.zone == sites[one].zone);
    let all: usize = zone.map(Site::begun).sum();
    if own == 0 {
        return (0, 0);
    }
    (own.max(all.div_ceil(load.per_zone.max(1))), own)
}

/// The less, the better is that host for the next brick.
fn wish(site: &Site, arbiter: bool) -> (usize, u32) {
    let emptiness = coarse(site.free());
    if arbiter {
        // it needs little: the others keep their space for data
        (
            emptiness as usize,
            u32::try_from(site.taken()).unwrap_or(u32::MAX),
        )
    } else {
        (site.taken(), u32::MAX - emptiness)
    }
}

/// Whether that host may take a brick of a set that has bricks on those hosts.
fn allowed(load: &Load, sites: &[Site], chosen: &[usize], one: usize) -> bool {
    let mates = chosen
        .iter()
        .filter(|other| sites[**other].zone == sites[one].zone);
    !chosen.contains(&one) && mates.count() < load.per_zone
}

/// Whether a set that has bricks on those hosts finds `missing` more with data, and an arbiter, and `later` sets after it find
/// room for theirs. Takes for it the hosts that the later sets miss least.
fn completes(load: &Load, sites: &[Site], chosen: &[usize], missing: usize, later: usize) -> bool {
    let mut chosen = chosen.to_vec();
    // taking a brick of data from a host leaves it with room for one less
    let mut fits: Vec<u64> = sites.iter().map(|site| site.fits(load.data)).collect();
    for _ in 0..missing {
        let cap = (load.per_zone as u64).saturating_mul(later as u64);
        let in_zone = |zone: usize| -> u64 {
            let hosts = sites
                .iter()
                .zip(&fits)
                .filter(|(site, _)| site.zone == zone);
            hosts.map(|(_, fits)| (*fits).min(later as u64)).sum()
        };
        let best = (0..sites.len())
            .filter(|one| allowed(load, sites, &chosen, *one) && fits[*one] > 0)
            .min_by_key(|one| {
                let missed = fits[*one] <= later as u64 && in_zone(sites[*one].zone) <= cap;
                (missed, Reverse(fits[*one]))
            });
        let Some(best) = best else {
            return false;
        };
        fits[best] -= 1;
        chosen.push(best);
    }
    let arbiter = chosen.len() >= load.shape.size() as usize
        || (0..sites.len())
            .any(|one| allowed(load, sites, &chosen, one) && sites[one].fits(load.arbiter) > 0);
    arbiter && room(sites, &fits, later, load.per_zone) >= (later * load.data_bricks()) as u64
}
