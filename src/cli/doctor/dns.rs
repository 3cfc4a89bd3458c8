//! DNS, as much of it as a check of mail needs: the TXT records of a name.
//!
//! Why here: three questions to the machine's own resolver do not justify a resolver of our own as
//! a dependency. UDP first, TCP where the answer was cut off.
//!
//! What must stay true: an answer that is not to our question, or cannot be read, is an error,
//! never "there is no record"; nothing read here decides more than what a line of the report says.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::clock::real_now;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Questions that are asked again over UDP.
const TRIES: u32 = 2;
/// TXT, in the class of the internet.
const TXT: u16 = 16;
/// There is no such name.
const NO_NAME: u8 = 3;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum DnsError {
    /// No resolver is known, or it does not answer.
    #[error("ask the resolver {0}: it does not answer")]
    Silent(SocketAddr),
    /// It answers that it cannot.
    #[error("ask the resolver {0}: it answers with code {1}")]
    Refused(SocketAddr, u8),
    /// It cannot be read.
    #[error("read the resolver's answer")]
    Unreadable,
}

/// The resolver of this machine: the first `nameserver` of `/etc/resolv.conf`.
pub(super) fn resolver(conf: &str) -> SocketAddr {
    let named = conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let first = named.filter_map(|rest| rest.trim().parse::<IpAddr>().ok()).next();
    SocketAddr::new(first.unwrap_or(IpAddr::from([127, 0, 0, 1])), 53)
}

/// The TXT records of a name, each as one text; none where the name has none, or does not exist.
pub(super) async fn txt(server: SocketAddr, name: &str) -> Result<Vec<String>, DnsError> {
    let id = (real_now().as_nanosecond() % 65_521) as u16;
    let question = question(id, name).ok_or(DnsError::Unreadable)?;
    for _ in 0..TRIES {
        let Ok(Ok(answer)) = timeout(PATIENCE, over_udp(server, &question)).await else { continue };
        if !is_to(&answer, id) {
            continue;
        }
        let cut_off = answer.get(2).is_some_and(|flags| flags & 0x02 != 0);
        if !cut_off {
            return read(server, &answer);
        }
        let whole = timeout(PATIENCE, over_tcp(server, &question)).await;
        let Ok(Ok(whole)) = whole else { return Err(DnsError::Silent(server)) };
        return if is_to(&whole, id) { read(server, &whole) } else { Err(DnsError::Unreadable) };
    }
    Err(DnsError::Silent(server))
}

async fn over_udp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let from: SocketAddr =
        if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(from).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; 4_096];
    let length = socket.recv(&mut buffer).await?;
    buffer.truncate(length);
    Ok(buffer)
}

async fn over_tcp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&(question.len() as u16).to_be_bytes()).await?;
    stream.write_all(question).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    Ok(buffer)
}

/// `None`: the name is none that DNS can hold.
fn question(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut bytes = id.to_be_bytes().to_vec();
    // A standard question that asks for recursion; one question.
    bytes.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let fits = (1..=63).contains(&label.len()) && label.is_ascii();
        bytes.push(u8::try_from(label.len()).ok().filter(|_| fits)?);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(TXT.to_be_bytes());
    bytes.extend([0, 1]);
    Some(bytes)
}

/// Whether it is an answer, and to the question with this number.
fn is_to(answer: &[u8], id: u16) -> bool {
    answer.len() >= 12 && answer[..2] == id.to_be_bytes() && answer[2] & 0x80 != 0
}

fn read(server: SocketAddr, answer: &[u8]) -> Result<Vec<String>, DnsError> {
    match answer[3] & 0x0f {
        0 => records(answer).ok_or(DnsError::Unreadable),
        NO_NAME => Ok(Vec::new()),
        code => Err(DnsError::Refused(server, code)),
    }
}

/// The texts of the answer's TXT records; aliases on the way are passed over.
fn records(answer: &[u8]) -> Option<Vec<String>> {
    let number = |at: usize| Some(u16::from_be_bytes([*answer.get(at)?, *answer.get(at + 1)?]));
    let (questions, answers) = (number(4)?, number(6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = behind_name(answer, at)? + 4;
    }
    let mut texts = Vec::new();
    for _ in 0..answers {
        at = behind_name(answer, at)?;
        let (kind, length) = (number(at)?, usize::from(number(at + 8)?));
        let data = answer.get(at + 10..at + 10 + length)?;
        if kind == TXT {
            texts.push(text(data)?);
        }
        at += 10 + length;
    }
    Some(texts)
}

/// The pieces of one record are one text.
fn text(mut data: &[u8]) -> Option<String> {
    let mut whole = Vec::new();
    while let Some((length, rest)) = data.split_first() {
        let (piece, behind) = rest.split_at_checked(usize::from(*length))?;
        whole.extend(piece);
        data = behind;
    }
    Some(String::from_utf8_lossy(&whole).into_owned())
}

fn behind_name(answer: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *answer.get(at)? {
            0 => return Some(at + 1),
            // A pointer ends the name.
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A server that knows these names; every answer over UDP is cut off where `cut` is in its
    /// name.
    pub(in crate::cli::doctor) async fn server(known: &[(&str, &[&str])]) -> SocketAddr {
        let known: BTreeMap<String, Vec<String>> = known
            .iter()
            .map(|(name, texts)| {
                ((*name).to_owned(), texts.iter().map(|text| (*text).to_owned()).collect())
            })
            .collect();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let names = known.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let answer = answer_to(&buffer[..length], &names, "udp");
                let _ = socket.send_to(&answer, from).await;
            }
        });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let length = stream.read_u16().await.unwrap();
                let mut question = vec![0; usize::from(length)];
                stream.read_exact(&mut question).await.unwrap();
                let answer = answer_to(&question, &known, "tcp");
                stream.write_all(&(answer.len() as u16).to_be_bytes()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        address
    }

    fn answer_to(question: &[u8], known: &BTreeMap<String, Vec<String>>, by: &str) -> Vec<u8> {
        let (mut at, mut labels) = (12, Vec::new());
        while question[at] != 0 {
            let length = usize::from(question[at]);
            labels.push(String::from_utf8_lossy(&question[at + 1..=at + length]).into_owned());
            at += 1 + length;
        }
        let name = labels.join(".");
        let mut answer = question.to_vec();
        let (flags, code) = match (known.get(&name), by) {
            (Some(_), "udp") if name.contains("cut") => (0x83, 0),
            (Some(_), _) => (0x81, 0),
            (None, _) => (0x81, NO_NAME),
        };
        (answer[2], answer[3]) = (flags, 0x80 | code);
        let texts = known.get(&name).filter(|_| flags == 0x81).cloned().unwrap_or_default();
        answer[7] = texts.len() as u8;
        for text in texts {
            let pieces: Vec<u8> = text
                .as_bytes()
                .chunks(200)
                .flat_map(|piece| [&[piece.len() as u8], piece].concat())
                .collect();
            answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
            answer.extend((pieces.len() as u16).to_be_bytes());
            answer.extend(pieces);
        }
        answer
    }

    #[tokio::test]
    async fn long_records_come_whole_and_what_is_not_there_is_empty() {
        let long = "v=DKIM1; p=".to_owned() + &"A".repeat(400);
        let server = server(&[("a.example", &["one", &long]), ("cut.example", &["whole"])]).await;
        assert_eq!(txt(server, "a.example").await.unwrap(), ["one", &long]);
        assert_eq!(txt(server, "cut.example").await.unwrap(), ["whole"], "over TCP");
        assert!(txt(server, "gone.example").await.unwrap().is_empty());
        assert!(txt(server, "no name..at all").await.is_err());
    }

    #[tokio::test]
    async fn silence_and_nonsense_are_no_answer() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        assert!(matches!(txt(address, "a.example").await, Err(DnsError::Silent(_))));
        let cut_off = [0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 1, b'a', 0, 0, 16];
        assert!(read(address, &cut_off).is_err());
        let refused = [0, 1, 0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(matches!(read(address, &refused), Err(DnsError::Refused(_, 5))));
    }

    #[test]
    fn the_machines_resolver_is_asked() {
        let of = |conf: &str| resolver(conf).to_string();
        assert_eq!(of("# x\nsearch lan\nnameserver 10.0.0.2\nnameserver 1.1.1.1\n"), "10.0.0.2:53");
        assert_eq!(of("nameserver fd00::1"), "[fd00::1]:53");
        assert_eq!(of(""), "127.0.0.1:53");
    }
}
