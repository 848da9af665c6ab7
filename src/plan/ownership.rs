//! Whose a volume is. The marks on its bricks decide; the option in gluster is a cache of them.

use std::collections::BTreeMap;

use crate::gluster::model::BrickFacts;
use crate::gluster::names::{Brick, OwnerId, OwnerMark};

/// What the marks say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Ours: no readable brick disagrees, and a majority says so. The bricks listed carry a mark of before, or none.
    Ours {
        /// Bricks to mark again.
        remark: Vec<Brick>,
    },
    /// Somebody else's, or nobody's.
    Foreign(String),
    /// It can't be told now.
    Unknown(String),
}

/// Judges for a change that takes nothing away.
pub fn for_change(
    mark: &OwnerMark,
    take_over: Option<&OwnerId>,
    bricks: &[Brick],
    facts: &BTreeMap<Brick, BrickFacts>,
) -> Verdict {
    let (mut agree, mut unreadable, mut remark) = (0_usize, Vec::new(), Vec::new());
    for brick in bricks {
        match facts.get(brick) {
            None => unreadable.push(format!("{brick} was not looked at")),
            Some(BrickFacts::Unknown(why)) => unreadable.push(format!("{brick}: {why}")),
            Some(BrickFacts::Missing) => unreadable.push(format!("{brick} is not there")),
            Some(BrickFacts::Present {
                foreign_mark: true, ..
            }) => {
                return Verdict::Foreign(format!("{brick} carries the mark of another program"));
            }
            Some(BrickFacts::Present {
                owner: Some(found), ..
            }) if found == mark => agree += 1,
            Some(BrickFacts::Present {
                owner: Some(found), ..
            }) if mark.same_object(found, take_over) => {
                agree += 1;
                remark.push(brick.clone());
            }
            Some(BrickFacts::Present {
                owner: Some(found), ..
            }) => {
                return Verdict::Foreign(marked(mark, brick, found));
            }
            Some(BrickFacts::Present { owner: None, .. }) => remark.push(brick.clone()),
        }
    }
    if agree * 2 > bricks.len() {
        Verdict::Ours { remark }
    } else if agree + unreadable.len() > bricks.len() / 2 && !unreadable.is_empty() {
        Verdict::Unknown(unreadable.join("; "))
    } else {
        Verdict::Foreign("its bricks do not carry our mark".into())
    }
}

/// Says whose mark a brick carries that is not ours, and what to do where it is that of our object in a GlusterCluster of before.
pub(super) fn marked(mark: &OwnerMark, brick: &Brick, found: &OwnerMark) -> String {
    match mark.other_owner(found) {
        Some(owner) => format!(
            "{brick} is marked as {found}: that is this very object, of another GlusterCluster or of one that was deleted. If that one is gone, or shall hand it over, set spec.takeOver of the GlusterCluster to {owner:?}"
        ),
        None => format!("{brick} is marked as {found}"),
    }
}

/// Judges for a step that takes data away: every brick has to carry exactly our mark.
pub fn for_destruction(
    mark: &OwnerMark,
    bricks: &[Brick],
    facts: &BTreeMap<Brick, BrickFacts>,
) -> Result<(), String> {
    for brick in bricks {
        match facts.get(brick) {
            Some(BrickFacts::Present {
                owner: Some(found),
                foreign_mark: false,
                ..
            }) if found == mark => {}
            Some(BrickFacts::Present {
                owner: Some(found), ..
            }) => return Err(format!("{brick} is marked as {found}")),
            Some(BrickFacts::Present { .. }) => {
                return Err(format!("{brick} does not carry our mark"));
            }
            Some(BrickFacts::Missing) => return Err(format!("{brick} is not there")),
            Some(BrickFacts::Unknown(why)) => return Err(format!("{brick} can't be read: {why}")),
            None => return Err(format!("{brick} was not looked at")),
        }
    }
    if bricks.is_empty() {
        Err("no brick is known".into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(owner: Option<&OwnerMark>) -> BrickFacts {
        BrickFacts::Present {
            owner: owner.cloned(),
            foreign_mark: false,
            volume_id: None,
            empty: true,
        }
    }

    #[test]
    fn a_majority_decides_and_one_other_mark_forbids() {
        let mark: OwnerMark =
            "v1:o.o:11111111-1111-1111-1111-111111111111:a/b:22222222-2222-2222-2222-222222222222"
                .parse()
                .unwrap();
        let again: OwnerMark =
            "v1:o.o:11111111-1111-1111-1111-111111111111:a/b:33333333-3333-3333-3333-333333333333"
                .parse()
                .unwrap();
        let other: OwnerMark =
            "v1:o.o:11111111-1111-1111-1111-111111111111:a/c:22222222-2222-2222-2222-222222222222"
                .parse()
                .unwrap();
        let bricks: Vec<Brick> = (1..4)
            .map(|i| format!("n{i}:/b/v").parse().unwrap())
            .collect();
        let judge = |facts: [BrickFacts; 3]| {
            let facts: BTreeMap<_, _> = bricks.iter().cloned().zip(facts).collect();
            (
                for_change(&mark, None, &bricks, &facts),
                for_destruction(&mark, &bricks, &facts).is_ok(),
            )
        };
        let down = || BrickFacts::Unknown("n1 is down".into());
        let ours = Verdict::Ours { remark: vec![] };
        assert_eq!(
            judge([
                marked(Some(&mark)),
                marked(Some(&mark)),
                marked(Some(&mark))
            ]),
            (ours.clone(), true)
        );
        assert_eq!(
            judge([marked(Some(&mark)), marked(Some(&mark)), down()]),
            (ours, false),
            "unknown never destroys"
        );
        assert_eq!(
            judge([marked(Some(&mark)), marked(Some(&again)), marked(None)]),
            (
                Verdict::Ours {
                    remark: bricks[1..].to_vec()
                },
                false
            )
        );
        assert!(matches!(
            judge([
                marked(Some(&mark)),
                marked(Some(&mark)),
                marked(Some(&other))
            ])
            .0,
            Verdict::Foreign(_)
        ));
        assert!(matches!(
            judge([marked(None), marked(None), marked(None)]).0,
            Verdict::Foreign(_)
        ));
        assert!(matches!(
            judge([marked(Some(&mark)), down(), down()]).0,
            Verdict::Unknown(_)
        ));
    }
}
