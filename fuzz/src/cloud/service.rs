//! A key service on this machine. A target decides how it answers.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use super::Answer;

/// Listens in the runtime of [`wait_for`](crate::wait_for), and so in the thread of the target.
#[derive(Debug)]
pub struct Service {
    url: String,
    answers: Answers,
}

/// The answers to the calls to come. The last one is repeated.
type Answers = Arc<Mutex<VecDeque<Answer>>>;

impl Service {
    /// Starts to listen.
    ///
    /// # Panics
    /// When this machine has no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let answers = Answers::default();
        tokio::spawn(accept(listener, Arc::clone(&answers)));
        Self {
            url: format!("http://{address}"),
            answers,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sets the answers to the calls to come. The last one is repeated.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        *lock(&self.answers) = answers.into_iter().collect();
    }

    /// How many of the answers are left, with the one that is repeated.
    #[must_use]
    pub fn answers_left(&self) -> usize {
        lock(&self.answers).len()
    }
}

fn lock(answers: &Answers) -> MutexGuard<'_, VecDeque<Answer>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, answers: Answers) {
    while let Ok((stream, _)) = listener.accept().await {
        // A client may close its connection at any time.
        tokio::spawn(serve(stream, Arc::clone(&answers)));
    }
}

async fn serve(stream: TcpStream, answers: Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(length) = head(&mut stream).await? {
        stream.read_exact(&mut vec![0; length]).await?;
        let bytes = next(&answers).to_bytes();
        stream.write_all(&bytes).await?;
    }
    Ok(())
}

/// Reads the head of a request, and returns the length of its body. `None` at the end of the connection.
async fn head(stream: &mut BufReader<TcpStream>) -> io::Result<Option<usize>> {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            None if line.trim_end().is_empty() => return Ok(Some(length)),
            _ => {}
        }
    }
}

fn next(answers: &Answers) -> Answer {
    let mut answers = lock(answers);
    let answer = if answers.len() > 1 {
        answers.pop_front()
    } else {
        answers.front().cloned()
    };
    answer.unwrap_or_else(|| Answer::json(500, "{}"))
}
