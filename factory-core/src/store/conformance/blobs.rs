//! Scenarios of blobs: kept once under their hash, small ones and large ones.

use super::{Fresh, a_run, assert_not_found, blob, commit_of, directive};
use crate::store::{Blob, Commit};

/// A blob comes back byte for byte, empty, not text, or larger than a backend keeps in its tables.
pub async fn a_blob_comes_back_whole(store: Fresh) {
    let run = a_run(&store).await;
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let blobs = [
        Blob::new(""),
        blob("hello"),
        Blob::new([0, 255, 10, 13]),
        Blob::new(large),
    ];
    let commit = Commit {
        blobs: blobs.to_vec(),
        ..commit_of(&run, vec![directive("see the blobs")])
    };
    store.commit(commit).await.unwrap();
    for blob in blobs {
        assert!(
            store.blob(blob.id()).await.unwrap() == blob.content(),
            "{}",
            blob.id()
        );
    }
}

/// The same content is stored again without harm, in one commit or in a later one.
pub async fn a_blob_is_kept_once(store: Fresh) {
    let mut run = a_run(&store).await;
    let texts = [blob("same"), Blob::new(vec![b'x'; 2_000_000])];
    for _ in 0..2 {
        let commit = Commit {
            blobs: texts.iter().chain(&texts).cloned().collect(),
            ..commit_of(&run, vec![directive("again")])
        };
        run = store.commit(commit).await.unwrap().0;
    }
    for text in texts {
        assert!(store.blob(text.id()).await.unwrap() == text.content());
    }
}

/// What was never stored is not found.
pub async fn an_unknown_blob_is_not_found(store: Fresh) {
    let text = blob("never stored");
    assert_not_found(store.blob(text.id()).await, "blob", text.id().as_str());
}
