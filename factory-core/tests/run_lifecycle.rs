//! Whole runs through the façade: a scripted model, real git, real sandbox.

mod workshop;

use factory_core::factory::ApproveTree;
use factory_core::model::{ApprovalPolicy, RunStatus};
use workshop::{Workshop, wrong_then_right};

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_becomes_an_approved_commit() {
    let shop = Workshop::with(wrong_then_right()).await;
    let before = shop.git(&["rev-parse", "HEAD"]);
    let run = shop.submit(ApprovalPolicy::Ask).await;
    let rested = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);
    insta::assert_snapshot!(shop.types(run.id).await.join("\n"));
    let tree = shop.offered(run.id).await;
    shop.factory
        .approve(
            run.id,
            ApproveTree {
                tree: tree.clone(),
                message: None,
            },
        )
        .await
        .unwrap();
    let done = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    assert_eq!(done.branch.as_deref(), Some("factory/run-1"));
    assert_eq!(
        shop.git(&["rev-parse", "factory/run-1^{tree}"]).trim(),
        tree.as_str()
    );
    assert_eq!(shop.git(&["show", "factory/run-1:answer.txt"]), "42\n");
    assert_eq!(shop.git(&["rev-parse", "factory/run-1^"]), before);
    assert_eq!(shop.git(&["rev-parse", "HEAD"]), before);
    assert_eq!(shop.git(&["status", "--porcelain"]), "");
}
