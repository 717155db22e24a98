//! A stream of lines, none of which may be longer than a limit.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// No line of QMP's is near that: the longest is a list of what QEMU can.
pub const LONGEST: usize = 1 << 20;

/// Reads from `R` until a line has more than [`LONGEST`] bytes, which is an error (InvalidData): whoever
/// puts lines together would keep all of it.
pub struct Limited<R> {
    from: R,
    /// How many bytes the line has so far.
    line: usize,
}

impl<R> Limited<R> {
    pub fn new(from: R) -> Self {
        Self { from, line: 0 }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Limited<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.from).poll_read(context, buffer))?;
        let new = &buffer.filled()[before..];
        self.line = match new.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => new.len() - end - 1,
            None => self.line + new.len(),
        };
        if self.line > LONGEST {
            buffer.set_filled(before);
            let message = format!("a line has more than {LONGEST} bytes");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn read(text: &[u8]) -> io::Result<usize> {
        Limited::new(text).read_to_end(&mut Vec::new()).await
    }

    #[tokio::test]
    async fn many_lines_are_read_and_one_without_an_end_is_not() {
        let line = [vec![b'x'; LONGEST], vec![b'\n']].concat();
        assert_eq!(read(&line.repeat(3)).await.unwrap(), 3 * line.len());
        let error = read(&vec![b'x'; LONGEST + 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
