//! Random sequences of calls.

use iem_disk::Operation;
use proptest::prelude::*;

use super::world::{World, new_folder};

/// The most segments of the journal under test.
const SEGMENTS: u64 = 4;

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Vec<usize>>),
    /// Settles the records whose number has one of these remainders.
    Settle {
        divisor: u64,
        remainder: u64,
    },
    Checkpoint,
    MakeSpare,
    Read,
    Pass,
    Restart,
    Fail(Operation),
    Heal,
}

fn step() -> impl Strategy<Value = Step> {
    let sizes = prop_oneof![4 => 0_usize..200, 1 => 200_usize..9_000];
    let request = prop::collection::vec(sizes, 1..4);
    let operation = prop::sample::select(vec![
        Operation::Create,
        Operation::Open,
        Operation::Write,
        Operation::Sync,
        Operation::SyncFolder,
        Operation::Rename,
        Operation::Remove,
    ]);
    prop_oneof![
        8 => prop::collection::vec(request, 1..4).prop_map(Step::Append),
        3 => (1_u64..4, 0_u64..4).prop_map(|(divisor, remainder)| Step::Settle {
            divisor,
            remainder
        }),
        2 => Just(Step::Checkpoint),
        4 => Just(Step::MakeSpare),
        2 => Just(Step::Read),
        6 => Just(Step::Pass),
        1 => Just(Step::Restart),
        1 => operation.prop_map(Step::Fail),
        1 => Just(Step::Heal),
    ]
}

proptest! {
    #[test]
    fn no_record_is_lost_and_all_bounds_hold(steps in prop::collection::vec(step(), 1..60)) {
        let folder = new_folder();
        let mut world = World::new(folder.path(), SEGMENTS);
        for step in steps {
            match step {
                Step::Append(requests) => drop(world.append(&requests)),
                Step::Settle { divisor, remainder } => {
                    world.settle(|sequence| sequence % divisor == remainder);
                }
                Step::Checkpoint => drop(world.checkpoint()),
                Step::MakeSpare => drop(world.make_spare()),
                Step::Read => drop(world.read()),
                Step::Pass => drop(world.pass()),
                Step::Restart => world = world.restart(),
                Step::Fail(operation) => world.disk.faults.fail(operation, 1),
                Step::Heal => world.disk.faults.heal(),
            }
            world.check_counts();
        }
        world.restart();
    }
}
