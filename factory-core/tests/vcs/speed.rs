//! How long snapshots take; run by hand on a quiet machine, as times prove nothing on a busy one:
//! `cargo test --release -p factory-core --test vcs speed -- --ignored --nocapture`.

use std::fs;
use std::time::Instant;

use factory_core::vcs::Vcs;

use crate::fixture::Fixture;

/// How often each is measured; the median is printed.
const TIMES: usize = 15;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints times, and proves nothing"]
async fn snapshots_of_small_and_large_trees() {
    for count in [1_000, 10_000, 50_000] {
        let fixture = Fixture::new();
        let path = |number: usize| format!("d{}/e{}/f{number}.txt", number / 1000, (number / 25) % 40);
        for number in 0..count {
            fixture.write(&path(number), format!("file {number}\n").repeat(20));
        }
        fixture.commit_all("Many");
        let begun = Instant::now();
        fixture.fetch_and_lay().await;
        println!("{count} files: fetch and lay {:?}", begun.elapsed());
        let dir = fixture.checkout().dir;
        for changed in [0, 5] {
            let mut times = Vec::new();
            for round in 0..TIMES {
                for number in (0..changed).map(|step| (step * count / 5 + round) % count) {
                    let content = format!("changed {count} {number} {round}\n");
                    fs::write(dir.join(path(number)), content).unwrap();
                }
                let begun = Instant::now();
                fixture
                    .git
                    .snapshot(&fixture.store(), &fixture.checkout())
                    .await
                    .unwrap();
                times.push(begun.elapsed());
            }
            let first = times[0];
            times.sort();
            println!(
                "{count} files, {changed} changed: first {first:?}, median {:?}, best {:?}",
                times[TIMES / 2],
                times[0]
            );
        }
    }
}
