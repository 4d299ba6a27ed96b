//! A command's end of the control socket: one connection, one request.

use std::path::Path;

use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::follow::{Sink, Streamed};
use super::frame::{self, Ask, Frame, Hello};
use super::request::{Answer, Request};
use super::socket::{self, Reached};
use crate::failure::Failure;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It was answered.
    Answered(Answer),
    /// It was not begun; it may be asked of the next owner.
    NotBegun,
    /// The owner went away in the middle; what it did is unknown.
    Lost,
}

/// A connection to the owner.
#[derive(Debug)]
pub(super) struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    owner: Hello,
}

impl Client {
    /// Connects to the owner of `data_folder`. None where nobody speaks there.
    pub(super) async fn connect(data_folder: &Path) -> Result<Option<Self>, Failure> {
        let Reached::Speaking(stream) = socket::connect(data_folder).await? else {
            return Ok(None);
        };
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        if frame::write_line(&mut writer, &Hello::ours()).await.is_err() {
            return Ok(None);
        }
        let greeting = timeout(frame::GREETING_DEADLINE, frame::read_line::<Hello>(&mut reader)).await;
        let Ok(greeting) = greeting else {
            let path = socket::path(data_folder);
            return Err(
                Failure::failed(format!("the owner does not answer at `{}`", path.display()))
                    .with_remedy("it may be stopped (Ctrl-Z) or hang; let it go on, or end it"),
            );
        };
        // An end instead of a greeting is an owner about to end.
        let Ok(Some(owner)) = greeting else {
            return Ok(None);
        };
        match owner.refusal() {
            Some(failure) => Err(failure),
            None => Ok(Some(Self {
                reader,
                writer,
                owner,
            })),
        }
    }

    /// Returns the owner's pid.
    pub(super) fn owner(&self) -> u32 {
        self.owner.pid
    }

    /// Asks, passes streamed events on, and waits for the answer.
    pub(super) async fn ask(mut self, request: Request, sink: &Sink) -> Result<Asked, Failure> {
        if frame::write_line(&mut self.writer, &Ask { request })
            .await
            .is_err()
        {
            return Ok(Asked::NotBegun);
        }
        let (mut accepted, mut parts) = (false, String::new());
        loop {
            let line = timeout(
                frame::SILENCE_DEADLINE,
                frame::read_line::<Frame>(&mut self.reader),
            )
            .await;
            let frame = match line {
                Ok(Ok(Some(frame))) => frame,
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                    return Err(Failure::caused("the owner's answer cannot be read", &error));
                }
                _ if accepted => return Ok(Asked::Lost),
                _ => return Ok(Asked::NotBegun),
            };
            match frame {
                Frame::Accepted => accepted = true,
                Frame::Closing if accepted => return Ok(Asked::Lost),
                Frame::Closing => return Ok(Asked::NotBegun),
                Frame::Alive => {}
                Frame::Event(event) => {
                    if sink.send(Streamed::Event(event)).await.is_err() {
                        return Ok(Asked::Lost);
                    }
                }
                Frame::Pull(progress) => {
                    if sink.send(Streamed::Pull(progress)).await.is_err() {
                        return Ok(Asked::Lost);
                    }
                }
                Frame::Part(part) if parts.len() + part.len() > frame::MAX_ANSWER => {
                    return Err(Failure::failed("the owner's answer is too long"));
                }
                Frame::Part(part) => parts.push_str(&part),
                Frame::PartsEnd => {
                    let answer = serde_json::from_str(&parts)
                        .map_err(|error| Failure::caused("the owner's answer cannot be read", &error))?;
                    return Ok(Asked::Answered(answer));
                }
                Frame::Answer(answer) => return Ok(Asked::Answered(answer)),
                Frame::Failed(failure) => return Err(failure),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use factory_core::model::RunId;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::mpsc;

    use super::*;
    use crate::failure::FailureKind;
    use crate::render::samples;

    /// Asks an owner that greets with `hello`, reads the request, says `frames` and goes away.
    async fn ask(hello: Hello, frames: Vec<Frame>) -> (Result<Option<Asked>, Failure>, u64) {
        let private = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let listener = socket::listen(folder.path()).unwrap();
        let owner = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (reader, mut writer) = stream.into_split();
            let mut reader = BufReader::new(reader);
            frame::read_line::<Hello>(&mut reader).await.unwrap();
            frame::write_line(&mut writer, &hello).await.unwrap();
            if frame::read_line::<Ask>(&mut reader).await.unwrap().is_some() {
                for frame in frames {
                    frame::write_line(&mut writer, &frame).await.unwrap();
                }
            }
            writer.shutdown().await.unwrap();
        });
        let (sink, mut events) = mpsc::channel(8);
        let asked = match Client::connect(folder.path()).await {
            Ok(Some(client)) => client
                .ask(Request::Pause { run: RunId(1) }, &sink)
                .await
                .map(Some),
            Ok(None) => Ok(None),
            Err(failure) => Err(failure),
        };
        owner.await.unwrap();
        drop(sink);
        let mut heard = 0;
        while events.recv().await.is_some() {
            heard += 1;
        }
        (asked, heard)
    }

    #[tokio::test]
    async fn an_answer_may_come_whole_or_in_parts_after_events() {
        let event = || {
            Frame::Event(Box::new(samples::event(
                1,
                1,
                "RUN_RESUME",
                serde_json::json!({"v": 1}),
            )))
        };
        let whole = vec![
            Frame::Accepted,
            event(),
            Frame::Alive,
            event(),
            Frame::Answer(Answer::Done),
        ];
        let (asked, heard) = ask(Hello::ours(), whole).await;
        assert!(
            matches!(asked, Ok(Some(Asked::Answered(Answer::Done)))),
            "{asked:?}"
        );
        assert_eq!(heard, 2);
        let parts = ["\"do", "ne\""].map(|part| Frame::Part(part.to_owned()));
        let [first, second] = parts;
        let (asked, _) = ask(
            Hello::ours(),
            vec![Frame::Accepted, first, second, Frame::PartsEnd],
        )
        .await;
        assert!(
            matches!(asked, Ok(Some(Asked::Answered(Answer::Done)))),
            "{asked:?}"
        );
    }

    #[tokio::test]
    async fn it_is_known_whether_a_lost_request_was_begun() {
        for frames in [vec![], vec![Frame::Closing]] {
            let (asked, _) = ask(Hello::ours(), frames).await;
            assert!(matches!(asked, Ok(Some(Asked::NotBegun))), "{asked:?}");
        }
        for frames in [
            vec![Frame::Accepted],
            vec![Frame::Accepted, Frame::Alive, Frame::Closing],
        ] {
            let (asked, _) = ask(Hello::ours(), frames).await;
            assert!(matches!(asked, Ok(Some(Asked::Lost))), "{asked:?}");
        }
    }

    #[tokio::test]
    async fn a_failure_comes_as_it_is() {
        let failure = Failure::new(FailureKind::NotAllowed, "no").with_remedy("try");
        let (asked, _) = ask(
            Hello::ours(),
            vec![Frame::Accepted, Frame::Failed(failure.clone())],
        )
        .await;
        assert_eq!(asked.unwrap_err(), failure);
    }

    #[tokio::test]
    async fn another_protocol_is_asked_nothing() {
        let hello = Hello {
            protocol: frame::PROTOCOL + 1,
            ..Hello::ours()
        };
        let (asked, _) = ask(hello, vec![]).await;
        let spoken = format!("speaks control protocol {}", frame::PROTOCOL + 1);
        assert!(asked.unwrap_err().message.contains(&spoken));
    }
}
