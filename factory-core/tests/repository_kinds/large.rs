//! Kinds by size. How long they take is for `speed` in the tests of version control, and for a quiet machine.

use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;

use crate::bench::{Bench, Kind};

/// How many files the large tree has.
pub(crate) const MANY: usize = 50_000;

pub(crate) fn kinds() -> Vec<Kind> {
    vec![
        Kind::new("50,000 files", many_files),
        Kind::new("a file of 200 MB", |bench| {
            let path = bench.small();
            File::create(path.join("huge"))
                .unwrap()
                .set_len(200 << 20)
                .unwrap();
            bench.commit("Huge");
            path
        }),
        Kind::new("a long history with much in it", |bench| {
            let path = bench.small();
            let mut stream = String::new();
            for number in 0..2_000 {
                writeln!(
                    stream,
                    "commit refs/heads/main\ncommitter Op <op@example.org> {number} +0000"
                )
                .unwrap();
                writeln!(stream, "data <<END\nCommit {number}\nEND").unwrap();
                if number == 0 {
                    writeln!(stream, "from refs/heads/main^0").unwrap();
                }
                writeln!(
                    stream,
                    "M 100644 inline file\ndata <<END\n{}\nEND",
                    "line ".repeat(number)
                )
                .unwrap();
            }
            bench.import(&stream);
            path
        }),
    ]
}

/// Makes the small repository with many more files in folders of a few.
pub(crate) fn many_files(bench: &Bench) -> PathBuf {
    let path = bench.small();
    let mut stream = String::from("commit refs/heads/main\ncommitter Op <op@example.org> 1 +0000\n");
    stream.push_str("data <<END\nMany\nEND\nfrom refs/heads/main^0\n");
    for number in 0..MANY {
        let folder = format!("d{}/e{}", number / 1000, (number / 25) % 40);
        writeln!(stream, "M 100644 inline {folder}/f{number}.txt\ndata <<END").unwrap();
        writeln!(stream, "{}END", format!("file {number}\n").repeat(20)).unwrap();
    }
    bench.import(&stream);
    path
}
