//! What goes over the control socket: JSON, one value a line, each line bounded.
//!
//! The client greets, the server greets, the client asks once. The server says `accepted` before it begins, so that a
//! client that loses the connection earlier knows that nothing was done; then come streamed events, signs of life, and
//! the answer, which is cut into parts where it is long.

use std::io;
use std::time::Duration;

use factory_core::llm::catalogue::PullProgress;
use factory_core::model::Event;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

use super::follow::Streamed;
use super::request::{Answer, Request};
use crate::failure::Failure;

/// The version of this vocabulary. Both ends must speak the same.
pub(crate) const PROTOCOL: u32 = 2;

/// The longest line that is read.
pub(crate) const MAX_LINE: usize = 8 << 20;

/// The longest piece of an answer in one line, before JSON's escapes, which make it six times as long at worst.
const MAX_PART: usize = 1 << 20;

/// The longest answer that is put together again.
pub(crate) const MAX_ANSWER: usize = 64 << 20;

/// How long the other end may take for its greeting, and a client for its request.
pub(crate) const GREETING_DEADLINE: Duration = Duration::from_secs(10);

/// How long the other end may leave a line unread.
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_mins(1);

/// How often a server that works on a request shows that it lives.
pub(crate) const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// After how much silence a client takes the owner for dead.
pub(crate) const SILENCE_DEADLINE: Duration = Duration::from_mins(1);

/// The first line of either end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The version that it speaks.
    pub(crate) protocol: u32,
    /// The program's version, for messages.
    pub(crate) program: String,
    /// The process.
    pub(crate) pid: u32,
}

impl Hello {
    /// Returns this process's greeting.
    pub(crate) fn ours() -> Self {
        Self {
            protocol: PROTOCOL,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
        }
    }

    /// Returns why the two ends cannot speak, if they cannot.
    pub(crate) fn refusal(&self) -> Option<Failure> {
        (self.protocol != PROTOCOL).then(|| {
            Failure::failed(format!(
                "process {} is factory {} and speaks control protocol {}, this is factory {} and speaks {PROTOCOL}",
                self.pid,
                self.program,
                self.protocol,
                env!("CARGO_PKG_VERSION"),
            ))
            .with_remedy("use the same version, or let that process end first")
        })
    }
}

/// A client's line after the greetings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// What is asked.
    pub(crate) request: Request,
}

/// A server's line after the greetings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Frame {
    /// The request is about to be carried out.
    Accepted,
    /// The server is about to end and has not carried out the request, or no longer waits for it.
    Closing,
    /// A streamed event.
    Event(Box<Event>),
    /// How far a model has come that is being got.
    Pull(PullProgress),
    /// Still at it.
    Alive,
    /// A piece of the answer's JSON text.
    Part(String),
    /// The pieces are the whole answer.
    PartsEnd,
    /// The answer.
    Answer(Answer),
    /// Why there is none.
    Failed(Failure),
}

impl From<Streamed> for Frame {
    fn from(streamed: Streamed) -> Self {
        match streamed {
            Streamed::Event(event) => Self::Event(event),
            Streamed::Pull(progress) => Self::Pull(progress),
        }
    }
}

/// Reads a line; none at the end of the stream. A line that is too long, or is no such value, is an error.
pub(crate) async fn read_line<T: DeserializeOwned>(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    loop {
        let buffered = reader.fill_buf().await?;
        if buffered.is_empty() {
            if line.is_empty() {
                return Ok(None);
            }
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the line is cut"));
        }
        let end = buffered.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffered.len(), |end| end + 1);
        if line.len() + taken > MAX_LINE {
            let bound = format!("a line is longer than {MAX_LINE} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, bound));
        }
        line.extend_from_slice(&buffered[..taken]);
        reader.consume(taken);
        if end.is_some() {
            return Ok(Some(serde_json::from_slice(&line)?));
        }
    }
}

/// Writes a line, or fails where the other end does not read it in time.
pub(crate) async fn write_line<T: Serialize>(
    writer: &mut (impl AsyncWrite + Unpin),
    value: &T,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let written = async {
        writer.write_all(&line).await?;
        writer.flush().await
    };
    tokio::time::timeout(WRITE_DEADLINE, written)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the other end does not read"))?
}

/// Returns the lines that an answer takes.
pub(crate) fn answer_frames(answer: Answer) -> Result<Vec<Frame>, serde_json::Error> {
    let text = serde_json::to_string(&answer)?;
    if text.len() <= MAX_PART {
        return Ok(vec![Frame::Answer(answer)]);
    }
    let mut frames = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.floor_char_boundary(MAX_PART));
        frames.push(Frame::Part(part.to_owned()));
        rest = after;
    }
    frames.push(Frame::PartsEnd);
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use factory_core::factory::Finding;

    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_and_whole() {
        let mut wire = Vec::new();
        write_line(&mut wire, &Hello::ours()).await.unwrap();
        write_line(&mut wire, &Frame::Accepted).await.unwrap();
        let mut reader = wire.as_slice();
        assert_eq!(
            read_line::<Hello>(&mut reader).await.unwrap(),
            Some(Hello::ours())
        );
        assert_eq!(
            read_line::<Frame>(&mut reader).await.unwrap(),
            Some(Frame::Accepted)
        );
        assert_eq!(read_line::<Frame>(&mut reader).await.unwrap(), None);

        let endless = vec![b' '; MAX_LINE + 1];
        let error = read_line::<Frame>(&mut endless.as_slice()).await.unwrap_err();
        assert_eq!(error.to_string(), "a line is longer than 8388608 bytes");
        let error = read_line::<Frame>(&mut &b"\"accepted\""[..]).await.unwrap_err();
        assert_eq!(error.to_string(), "the line is cut");
        assert!(read_line::<Frame>(&mut &b"GET / HTTP/1.1\n"[..]).await.is_err());
    }

    #[test]
    fn a_long_answer_comes_in_parts_that_fit_a_line() {
        let found = "\u{1}ä".repeat(MAX_PART);
        let answer = Answer::Findings(vec![Finding {
            subject: "git".to_owned(),
            ok: true,
            found,
            remedy: None,
        }]);
        let frames = answer_frames(answer.clone()).unwrap();
        assert!(frames.len() > 3);
        let mut text = String::new();
        for frame in &frames {
            assert!(serde_json::to_vec(frame).unwrap().len() < MAX_LINE);
            if let Frame::Part(part) = frame {
                text.push_str(part);
            }
        }
        assert_eq!(frames.last(), Some(&Frame::PartsEnd));
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
    }

    #[test]
    fn another_protocol_is_refused_by_name() {
        let hello = Hello {
            protocol: PROTOCOL + 1,
            program: "9.9.9".to_owned(),
            pid: 12,
        };
        let failure = hello.refusal().unwrap();
        let spoken = format!(
            "process 12 is factory 9.9.9 and speaks control protocol {}",
            PROTOCOL + 1
        );
        assert!(failure.message.starts_with(&spoken));
        assert_eq!(Hello::ours().refusal(), None);
    }
}
