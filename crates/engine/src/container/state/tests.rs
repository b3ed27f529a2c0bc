use super::{Phase, Refusal, Verb, Verdict};

#[test]
fn every_phase_and_verb() {
    use Verdict::{Go, Nothing, Refused};
    let columns =
        [Verb::Start, Verb::Stop, Verb::Kill, Verb::Pause, Verb::Unpause, Verb::Rename, Verb::Remove];
    let not_running = Refused(Refusal::NotRunning);
    let not_paused = Refused(Refusal::NotPaused);
    let removing = Refused(Refusal::Removing);
    let paused = Refused(Refusal::Paused);
    let table = [
        (Phase::Created, [Go, Nothing, not_running, not_running, not_paused, Go, Go]),
        (Phase::Running, [Nothing, Go, Go, Go, not_paused, Go, Refused(Refusal::Runs)]),
        (Phase::Paused, [paused, Go, Go, Refused(Refusal::AlreadyPaused), Go, Go, paused]),
        (
            Phase::Restarting,
            [Go, Go, not_running, Refused(Refusal::Restarting), not_paused, Go, Refused(Refusal::Runs)],
        ),
        (Phase::Removing, [removing, Nothing, not_running, not_running, not_paused, removing, removing]),
        (Phase::Exited, [Go, Nothing, not_running, not_running, not_paused, Go, Go]),
        (Phase::Dead, [removing, Nothing, not_running, not_running, not_paused, removing, Go]),
    ];
    assert_eq!(table.map(|(phase, _)| phase), Phase::ALL);
    for (phase, row) in table {
        for (verb, expected) in columns.iter().zip(row) {
            assert_eq!(phase.judge(*verb), expected, "{verb:?} while {}", phase.name());
        }
    }
}
