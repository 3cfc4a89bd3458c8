//! A wire between a store and its database that can be cut at the worst moment.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// What is done to the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Nothing,
    /// The database never hears of it.
    BeforeCommit,
    /// The database does it, and its answer is lost.
    AfterCommit,
}

/// The wire.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: Arc<AtomicU8>,
}

impl Proxy {
    pub(crate) async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicU8::new(Cut::Nothing as u8));
        let cutting = cut.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(carry(client, server, cutting.clone()));
            }
        });
        Self { port, cut }
    }

    /// The next commit fares so, once.
    pub(crate) fn cut(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// Whether it happened.
    pub(crate) fn has_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst) == Cut::Nothing as u8
    }
}

async fn carry(mut client: TcpStream, mut server: UnixStream, cut: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return };
                let bytes = &asked[..read];
                let commits = bytes.windows(7).any(|window| window == b"COMMIT\0");
                let wanted = cut.load(Ordering::SeqCst);
                if commits && wanted != Cut::Nothing as u8 {
                    cut.store(Cut::Nothing as u8, Ordering::SeqCst);
                    if wanted == Cut::AfterCommit as u8 {
                        server.write_all(bytes).await.unwrap();
                        // All of its answer is read, and none of it is told.
                        while !ends_a_transaction(&read_some(&mut server).await) {}
                    }
                    return;
                }
                if server.write_all(bytes).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn read_some(server: &mut UnixStream) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 16];
    let read = server.read(&mut bytes).await.unwrap();
    bytes.truncate(read);
    bytes
}

/// `ReadyForQuery`, idle: no transaction is open any more.
fn ends_a_transaction(bytes: &[u8]) -> bool {
    bytes.ends_with(b"Z\0\0\0\x05I")
}
