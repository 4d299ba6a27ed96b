//! Kills the real program at random moments of runs, resumes them, and compares how they end with a run that nobody
//! disturbed. The model is a process of its own, and its log is a witness from outside.
//!
//! `FACTORY_TEST_KILLS` says how often to kill, `FACTORY_TEST_SEED` repeats the choices of an earlier run.

#![expect(clippy::unwrap_used, reason = "what is not as it should be fails the test")]

mod checker;
mod dice;
mod evidence;
mod forgetful;
mod life;
mod phase;
mod place;
mod report;
mod scenario;

use std::time::Instant;

use factory_core::model::{EventKind, RunStatus};

use checker::violations;
use dice::Dice;
use evidence::Evidence;
use life::{Aim, live};
use phase::Phase;
use report::Report;

/// How many kills the ordinary run of the tests makes.
const FEW: u32 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn killed_runs_end_as_undisturbed_ones() {
    let wanted = std::env::var("FACTORY_TEST_KILLS")
        .map_or(FEW, |text| text.parse().expect("FACTORY_TEST_KILLS is a number"));
    let seed = Dice::seed_of_the_day();
    println!("FACTORY_TEST_SEED={seed}");
    let mut dice = Dice::new(seed);
    let undisturbed = undisturbed(&mut dice).await;

    let begun = Instant::now();
    let mut report = Report::default();
    while !report.is_enough(wanted) {
        let mut hand = hand(&mut dice, &report, wanted);
        let (place, evidence) = live(&mut dice, || hand.pop()).await;
        let hits: Vec<_> = evidence.deaths.iter().map(|death| death.phase).collect();
        let wrong: Vec<_> = violations(&evidence, &undisturbed)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(
            wrong.is_empty(),
            "seed {seed}, run {} after {} kills ({hits:?}):\n  {}",
            report.runs + 1,
            report.total(),
            wrong.join("\n  ")
        );
        for phase in hits {
            report.count(phase);
        }
        report.parked += pauses(&evidence);
        report.runs += 1;
        report.took = begun.elapsed();
        place.take_away();
    }
    println!("{report}");
}

/// Returns a run that nobody disturbed, with nothing wrong in it.
async fn undisturbed(dice: &mut Dice) -> Evidence {
    let (place, evidence) = live(dice, || None).await;
    assert_eq!(
        evidence.run.status,
        RunStatus::Complete,
        "{:?}",
        evidence.run.detail
    );
    assert_eq!(violations(&evidence, &evidence), []);
    let asked = evidence.model_log.iter().filter(|said| said.event == "asked");
    assert_eq!(asked.count(), scenario::script().replies.len());
    place.take_away();
    evidence
}

/// Returns where to kill the processes of the next run, the first aim last: in every phase, in an order of its own, the
/// publication at the end, because nothing comes after it. Now and then it is one phase again and again, until the run
/// is parked. Where only one phase's share is lacking, it is that phase alone.
fn hand(dice: &mut Dice, report: &Report, wanted: u32) -> Vec<Aim> {
    if report.total() >= wanted {
        return report.lacking().map(Aim::In).into_iter().collect();
    }
    if report.runs % 8 == 7 {
        let mut phases = Phase::WORK;
        dice.shuffle(&mut phases);
        return vec![Aim::In(phases[0]); 7];
    }
    let mut hand = vec![
        Aim::In(Phase::Generation),
        Aim::In(Phase::Tool),
        Aim::In(Phase::Git),
        Aim::In(Phase::Check),
        Aim::In(Phase::Takeover),
        Aim::Anywhere,
    ];
    hand.extend(report.lacking().map(Aim::In));
    dice.shuffle(&mut hand);
    hand.insert(0, Aim::In(Phase::Publish));
    hand
}

fn pauses(evidence: &Evidence) -> u32 {
    let pauses = evidence
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::RunPaused(_)));
    u32::try_from(pauses.count()).expect("few pauses")
}
