//! The order in which the commands of an operation run, the same for every transport.

use std::future::Future;

use futures::StreamExt;

use crate::gluster::operation::{Command, Operation};
use crate::gluster::outcome::Output;

use super::HostError;

/// How many commands run on one host at the same time. sshd's default limit is 10.
pub(super) const SIDE_BY_SIDE: usize = 8;

/// More output than this, on one stream of one command, is not ours to read.
pub(super) const OUTPUT_LIMIT: usize = 16 << 20;
/// What is said when there is more.
pub(super) const TOO_MUCH: &str = "cut off: more than 16 MiB of output";

/// Runs the commands of `operation` by `run`, which answers with an error only when the command was not started.
///
/// When the host fails behind the first command, what was not started has an output too, without exit status: the
/// operation as a whole is unknown then, not unreachable.
pub(super) async fn commands<F, R>(operation: &Operation, run: F) -> Result<Vec<Output>, HostError>
where
    F: Fn(Command) -> R,
    R: Future<Output = Result<Output, HostError>>,
{
    let commands = operation.commands();
    let mut outputs = Vec::with_capacity(commands.len());
    if operation.independent() {
        let results: Vec<_> = futures::stream::iter(commands)
            .map(run)
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
        if !results.is_empty() && results.iter().all(Result::is_err) {
            return results.into_iter().collect();
        }
        outputs.extend(results.into_iter().map(|result| match result {
            Ok(output) => output,
            Err(error) => not_started(&error),
        }));
        return Ok(outputs);
    }
    for command in commands {
        match run(command).await {
            Ok(output) => {
                let go_on = output.exit == Some(0);
                outputs.push(output);
                if !go_on {
                    break;
                }
            }
            Err(error) if outputs.is_empty() => return Err(error),
            Err(error) => {
                outputs.push(not_started(&error));
                break;
            }
        }
    }
    Ok(outputs)
}

fn not_started(error: &HostError) -> Output {
    unknown(Output::default(), &format!("not started: {}", error.why))
}

/// The output of a command whose end is not known; the reason stands at the end of its standard error.
pub(super) fn unknown(mut output: Output, why: &str) -> Output {
    output.exit = None;
    if !output.stderr.is_empty() && !output.stderr.ends_with('\n') {
        output.stderr.push('\n');
    }
    output.stderr.push_str(why);
    output
}

/// The end of a text for a log line: where programs put their reasons.
pub(super) fn tail(text: &str) -> &str {
    let text = text.trim_end();
    let mut start = text.len().saturating_sub(400);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::gluster::model::SilentKind;

    fn error() -> HostError {
        HostError {
            host: "node1".parse().unwrap(),
            address: "node1:22".into(),
            kind: SilentKind::Unreachable,
            why: "gone".into(),
        }
    }

    /// Runs an operation where the n-th command ends as told; says which commands were asked for.
    async fn play(
        operation: &Operation,
        ends: &[Result<Option<i32>, HostError>],
    ) -> (Result<Vec<Output>, HostError>, usize) {
        let asked = Mutex::new(0);
        let result = commands(operation, |_| {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            let end = ends[*asked - 1].clone();
            async move {
                end.map(|exit| Output {
                    exit,
                    ..Output::default()
                })
            }
        })
        .await;
        let asked = *asked.lock().unwrap();
        (result, asked)
    }

    fn exits(outputs: &[Output]) -> Vec<Option<i32>> {
        outputs.iter().map(|output| output.exit).collect()
    }

    #[tokio::test]
    async fn a_sequence_stops_at_the_first_that_does_not_succeed() {
        let sequence = Operation::Prerequisites;
        assert_eq!(sequence.commands().len(), 2);
        for (ends, want, asked) in [
            (vec![Ok(Some(0)), Ok(Some(3))], vec![Some(0), Some(3)], 2),
            (vec![Ok(Some(1))], vec![Some(1)], 1),
            (vec![Ok(None)], vec![None], 1),
            (vec![Ok(Some(0)), Err(error())], vec![Some(0), None], 2),
        ] {
            let (result, count) = play(&sequence, &ends).await;
            assert_eq!((exits(&result.unwrap()), count), (want, asked), "{ends:?}");
        }
        assert_eq!(play(&sequence, &[Err(error())]).await, (Err(error()), 1));
    }

    #[tokio::test]
    async fn independent_commands_all_have_an_output() {
        let three = Operation::ReadGlusterdVol;
        assert_eq!(three.commands().len(), 3);
        let ends = [Ok(Some(1)), Err(error()), Ok(Some(0))];
        let (result, asked) = play(&three, &ends).await;
        let outputs = result.unwrap();
        assert_eq!((exits(&outputs), asked), (vec![Some(1), None, Some(0)], 3));
        assert_eq!(outputs[1].stderr, "not started: gone");
        let (result, _) = play(&three, &[Err(error()), Err(error()), Err(error())]).await;
        assert_eq!(result, Err(error()));
        let (result, _) = play(&Operation::InspectBricks(vec![]), &[]).await;
        assert_eq!(result, Ok(vec![]));
    }

    #[test]
    fn a_tail_is_cut_between_characters() {
        assert_eq!(tail("a\n"), "a");
        let long = "ä".repeat(500);
        assert!(tail(&long).len() <= 400 && tail(&long).chars().all(|c| c == 'ä'));
    }
}
