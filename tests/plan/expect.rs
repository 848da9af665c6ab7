//! What is told beforehand is what is done: the steps that follow from expected pictures are those that follow from looks.

use gluster_operator::gluster::model::VolumeView;
use gluster_operator::plan::attach::Wish;
use gluster_operator::plan::cluster as pool_plan;
use gluster_operator::plan::expect;
use gluster_operator::plan::step::Step;
use gluster_operator::plan::volume::{self, Situation};
use proptest::prelude::*;
use serde_json::json;

use crate::volume::{config, plan, specs};
use crate::world::{World, cluster, want};

const PASSES: usize = 10;

proptest! {
    #![proptest_config(config(150))]

    /// A volume of which any steps were done before.
    #[test]
    fn of_a_volume(spec in specs(), nodes in 4_usize..7, before in prop::collection::vec(any::<bool>(), 9)) {
        let cluster = cluster(nodes, json!({}));
        let want = want(&cluster, spec, &[]);
        let mut world = World::settled(&cluster);
        for (step, done) in plan(&world, &want, &cluster).steps.iter().zip(before) {
            if done {
                let _ = world.take(step); // what gluster would refuse was not done
            }
        }
        world.crawling = Some(false);
        let (mut pool, mut view) = (world.view(&cluster), world.inspect(&want, &cluster));
        let mut told: Vec<Step> = Vec::new();
        for _ in 0..PASSES {
            let situation = Situation {
                cluster: &cluster, pool: &pool, view: &view, wish: &Wish::default(), unsettled: None, now: 1,
            };
            let plan = volume::plan(&want, situation);
            for step in &plan.steps {
                expect::after(step, &mut pool, &mut view);
            }
            told.extend(plan.steps);
        }
        let mut done = Vec::new();
        for _ in 0..PASSES {
            for step in plan(&world, &want, &cluster).steps {
                world.take(&step).map_err(TestCaseError::fail)?;
                done.push(step);
            }
        }
        prop_assert_eq!(told, done);
    }

    /// A pool, from hosts of which none knows another.
    #[test]
    fn of_a_pool(nodes in 1_usize..7, options in any::<bool>()) {
        let more = if options { json!({"options": {"cluster.brick-multiplex": "on"}}) } else { json!({}) };
        let cluster = cluster(nodes, more);
        let mut world = World::lone(&cluster);
        let mut pool = world.view(&cluster);
        let mut told: Vec<Step> = Vec::new();
        let mut done: Vec<Step> = Vec::new();
        for _ in 0..PASSES {
            let plan = pool_plan::plan(&cluster, &pool);
            for step in &plan.steps {
                expect::after(step, &mut pool, &mut VolumeView::default());
            }
            told.extend(plan.steps);
            for step in pool_plan::plan(&cluster, &world.view(&cluster)).steps {
                world.take(&step).map_err(TestCaseError::fail)?;
                done.push(step);
            }
        }
        let probes = told.iter().filter(|step| matches!(step, Step::ProbePeer { .. })).count();
        prop_assert_eq!(probes, nodes - 1);
        prop_assert_eq!(told, done);
    }
}
