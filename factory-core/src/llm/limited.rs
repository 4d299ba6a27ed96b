//! A bound on how many replies an endpoint gives at a time.
//!
//! A model server on one's own machine works on one request after the other, and its queue says nothing while the bounds
//! on silence run. So the waiting is done here, where it has no bound and is ended by a pause. Whoever came first is
//! served first.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Capabilities, ChatRequest, Delta, Llm, LlmError, Progress, ReplyStream};

/// How many replies may be on their way at a time. Shared by all models of an endpoint; cheap to clone.
#[derive(Debug, Clone)]
pub struct Limit(Arc<Semaphore>);

impl Limit {
    /// Returns a limit of so many replies; at least one.
    pub fn new(parallel: usize) -> Self {
        Self(Arc::new(Semaphore::new(
            parallel.clamp(1, Semaphore::MAX_PERMITS),
        )))
    }

    /// Waits for a place. Dropping the future gives it up.
    async fn place(&self) -> OwnedSemaphorePermit {
        let place = Arc::clone(&self.0).acquire_owned().await;
        place.expect("the semaphore is never closed")
    }
}

/// A model whose endpoint's limit is kept. A place is held from before the request is sent until the reply has ended or
/// is dropped. Preparing takes none, because it asks for no reply.
#[derive(Debug)]
pub struct Limited {
    inner: Arc<dyn Llm>,
    limit: Limit,
}

impl Limited {
    /// Returns the model within the limit.
    pub fn new(inner: Arc<dyn Llm>, limit: Limit) -> Self {
        Self { inner, limit }
    }
}

#[async_trait]
impl Llm for Limited {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn prepare(&self, progress: Progress<'_>) -> Result<Capabilities, LlmError> {
        self.inner.prepare(progress).await
    }

    async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
        let place = self.limit.place().await;
        let inner = self.inner.chat(request).await?;
        Ok(Box::pin(Held {
            held: Some((inner, place)),
        }))
    }
}

/// A reply that holds its place until it ends.
struct Held {
    held: Option<(ReplyStream, OwnedSemaphorePermit)>,
}

impl Stream for Held {
    type Item = Result<Delta, LlmError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some((inner, _)) = &mut self.held else {
            return Poll::Ready(None);
        };
        let next = std::task::ready!(inner.as_mut().poll_next(context));
        // A reader that stops at the end, and keeps the stream, must not keep the place.
        if !matches!(
            next,
            Some(Ok(Delta::Text(_)
                | Delta::Thinking(_)
                | Delta::ToolCall(_)
                | Delta::Usage(_)))
        ) {
            self.held = None;
        }
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::StreamExt;

    use super::*;
    use crate::llm::EndReason;

    /// How a reply of the counted model goes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Way {
        Ends,
        Breaks,
        IsRefused,
        HangsAfterText,
    }

    /// Counts the requests that reached it, by their `max_tokens`.
    #[derive(Debug, Default)]
    struct Counted {
        seen: Mutex<Vec<u64>>,
        way: Mutex<Option<Way>>,
    }

    #[async_trait]
    impl Llm for Counted {
        fn name(&self) -> &'static str {
            "counted"
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }

        async fn prepare(&self, _: Progress<'_>) -> Result<Capabilities, LlmError> {
            Ok(self.capabilities())
        }

        async fn chat(&self, request: ChatRequest) -> Result<ReplyStream, LlmError> {
            self.seen.lock().unwrap().push(request.max_tokens);
            let refused = || LlmError::ContextOverflow("no".to_owned());
            let text = futures_util::stream::iter([Ok(Delta::Text("x".to_owned()))]);
            Ok(match self.way.lock().unwrap().unwrap_or(Way::Ends) {
                Way::IsRefused => return Err(refused()),
                Way::Ends => text
                    .chain(futures_util::stream::iter([Ok(Delta::End(EndReason::Stop))]))
                    .boxed(),
                Way::Breaks => text.chain(futures_util::stream::iter([Err(refused())])).boxed(),
                Way::HangsAfterText => text.chain(futures_util::stream::pending()).boxed(),
            })
        }
    }

    fn request(number: u64) -> ChatRequest {
        ChatRequest {
            max_tokens: number,
            ..ChatRequest::default()
        }
    }

    fn limited(parallel: usize, way: Way) -> (Arc<Counted>, Limited) {
        let counted = Arc::new(Counted::default());
        *counted.way.lock().unwrap() = Some(way);
        let model = Limited::new(Arc::clone(&counted) as Arc<dyn Llm>, Limit::new(parallel));
        (counted, model)
    }

    /// Asks and reads to the end, or to where it hangs, keeping the stream.
    async fn read(model: &Limited, way: Way) -> Option<ReplyStream> {
        let mut stream = model.chat(request(1)).await.ok()?;
        stream.next().await;
        if way != Way::HangsAfterText {
            stream.next().await;
        }
        Some(stream)
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_after_whatever_end() {
        for (way, free) in [
            (Way::Ends, true),
            (Way::Breaks, true),
            (Way::IsRefused, true),
            (Way::HangsAfterText, false),
        ] {
            let (counted, model) = limited(1, way);
            let kept = read(&model, way).await;
            // The clock stands still but where nothing else can happen, so that this is no wait.
            let second = tokio::time::timeout(Duration::from_secs(1), model.chat(request(2))).await;
            assert_eq!(second.is_ok(), free, "{way:?}");
            drop(second);
            drop(kept);
            assert!(model.chat(request(3)).await.is_ok() || way == Way::IsRefused);
            let expected = if free { vec![1, 2, 3] } else { vec![1, 3] };
            assert_eq!(*counted.seen.lock().unwrap(), expected, "{way:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_first_is_served_first_and_who_goes_is_forgotten() {
        let (counted, model) = limited(1, Way::HangsAfterText);
        let model = Arc::new(model);
        let first = model.chat(request(1)).await.unwrap();
        let mut waiting = Vec::new();
        for number in 2..=5 {
            let model = Arc::clone(&model);
            waiting.push(tokio::spawn(async move { model.chat(request(number)).await }));
            // Each is in the queue before the next.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        waiting.remove(1).abort();
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(first);
        for waiter in waiting {
            drop(waiter.await.unwrap().unwrap());
        }
        assert_eq!(*counted.seen.lock().unwrap(), vec![1, 2, 4, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_at_a_time_than_allowed() {
        let (_, model) = limited(3, Way::HangsAfterText);
        let model = Arc::new(model);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..20).map(|number| {
            let (model, now, most) = (Arc::clone(&model), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let stream = model.chat(request(number)).await.unwrap();
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(7 + number)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                drop(stream);
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }
}
