//! The lives of a run: a process works on it, is watched from outside, and is killed.

use std::process::Child;
use std::time::{Duration, Instant};

use factory_core::model::RunStatus;

use crate::dice::Dice;
use crate::evidence::{Death, Evidence};
use crate::phase::Phase;
use crate::place::{Place, RUN, add_newer};
use factory_core::store::Store as _;

/// How long a life may last before the run is called hanging. Longer than any wait that the program allows itself.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often in a row a parked run is resumed without a kill between.
const RESUMES: u32 = 5;

/// How often the run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// When a process is to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// In the middle of this.
    In(Phase),
    /// At any moment.
    Anywhere,
}

/// How a life ended.
enum Ended {
    Killed,
    ByItself(i32),
}

/// Works on a new run, killing each process as `next_aim` says, until the run is final; once there is no aim any more,
/// the run is left in peace.
pub(crate) async fn live(dice: &mut Dice, mut next_aim: impl FnMut() -> Option<Aim>) -> (Place, Evidence) {
    let place = Place::with_a_filed_run();
    let before = place.operators_own();
    let mut deaths = Vec::new();
    let mut parked = 0;
    loop {
        let born_with = deaths.last().map_or(0, |death: &Death| death.events.len());
        let mut process = place.begin_to_work();
        let ended = match next_aim() {
            Some(aim) => kill(&place, &mut process, aim, dice).await,
            None => Ended::ByItself(wait(&place, &mut process)),
        };
        let (run, events) = place.history().await;
        match ended {
            Ended::Killed => {
                let phase = match Phase::of(&events) {
                    // What the run seems to be in the middle of is what it died in before.
                    Some(_) if events.len() == born_with => Some(Phase::Takeover),
                    phase => phase,
                };
                parked = 0;
                deaths.push(Death {
                    phase,
                    log_lines: place.model_log().len(),
                    events,
                });
                if phase.is_none() {
                    break;
                }
            }
            Ended::ByItself(0) => break,
            // Parked: the operator resumes it, as often as makes sense.
            Ended::ByItself(3) if run.status == RunStatus::Paused && parked < RESUMES => parked += 1,
            Ended::ByItself(code) => {
                eprintln!("the run is {} and the program ended with {code}", run.status);
                break;
            }
        }
    }
    let evidence = Evidence::gather(&place, before, deaths).await;
    (place, evidence)
}

/// Kills the process when its run is where it is to be hit, a random while later.
async fn kill(place: &Place, process: &mut Child, aim: Aim, dice: &mut Dice) -> Ended {
    let begun = Instant::now();
    let (wanted, occurrences, window) = match aim {
        Aim::Anywhere => (None, 0, 1500),
        Aim::In(phase) => {
            let (occurrences, window) = habits(phase);
            // The takeover begins with the process; nothing is stored yet that could be waited for.
            let awaited = (phase != Phase::Takeover).then_some(phase);
            (awaited, dice.below(occurrences), window)
        }
    };
    let delay = Duration::from_micros(dice.below(window * 1000));
    if let Some(wanted) = wanted {
        let reader = place.reader().await;
        // Only what this life does counts: a run that died in a phase seems to be in it still.
        let last = reader.run(RUN).await.unwrap().last_seq;
        let mut events = Vec::new();
        let (mut seen, mut inside) = (0, false);
        loop {
            add_newer(&reader, &mut events).await;
            let is_new = events.last().is_some_and(|event| event.seq > last);
            let is_there = is_new && Phase::of(&events) == Some(wanted);
            if is_there && !inside {
                seen += 1;
                if seen > occurrences {
                    break;
                }
            }
            inside = is_there;
            if let Some(status) = process.try_wait().unwrap() {
                reader.close().await;
                return Ended::ByItself(status.code().unwrap_or(-1));
            }
            assert!(begun.elapsed() < PATIENCE, "the run hangs: {:?}", events.last());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        reader.close().await;
    }
    tokio::time::sleep(delay).await;
    // SIGKILL. It fails where the process has ended by itself.
    let _ = process.kill();
    let status = process.wait().unwrap();
    match status.code() {
        Some(code) => Ended::ByItself(code),
        None => Ended::Killed,
    }
}

/// Returns among how many of its occurrences a phase is hit, and within how many milliseconds of its beginning.
fn habits(phase: Phase) -> (u64, u64) {
    match phase {
        Phase::Generation => (3, 110),
        Phase::Tool => (3, 50),
        Phase::Git => (3, 15),
        Phase::Check => (1, 200),
        Phase::Publish => (1, 40),
        Phase::Takeover => (1, 150),
    }
}

fn wait(place: &Place, process: &mut Child) -> i32 {
    let begun = Instant::now();
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if begun.elapsed() > PATIENCE {
            let _ = process.kill();
            panic!("the run hangs; see {}", place.folder().display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
