//! Reach: to which addresses a call may lead, after its name was resolved.
//!
//! Why here: an address of the merchant file, or one that a record names, may lead inside: to the
//! metadata service of a cloud, to a database, to recoup itself. What counts is not the name but
//! the address that is connected to, so the resolver of the client itself looks at it: a name that
//! resolves otherwise the second time is looked at the second time.
//!
//! What must stay true: no client of this crate follows a redirect, and none is made without a
//! reach; an address of a link, of no host, or of many is never reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// How far a client may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Addresses of the public internet only: for what others may have named.
    Public,
    /// Those of this machine and of private networks too, as the merchant file names them: a
    /// sandbox, a payment system of one's own.
    Private,
}

/// Why an address is not reached. No name of a host: it may stand in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// It is none of the web.
    #[error("it is no http(s) address with a host")]
    NoAddress,
    /// Its host is inside.
    #[error("it leads to this machine or a private network, which is not allowed here")]
    Private,
    /// Nothing is ever called there.
    #[error("it leads to a link-local, metadata, multicast or reserved address")]
    Never,
}

/// Where the metadata of machines in clouds is told, beside 169.254.0.0/16.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

impl Reach {
    /// Whether a URL as it is written may be called: hosts that are numbers are looked at here, and
    /// names when they are resolved.
    pub fn check(self, url: &Url) -> Result<(), Unreachable> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Unreachable::NoAddress);
        }
        match url.host().ok_or(Unreachable::NoAddress)? {
            Host::Ipv4(address) => self.allows(address.into()),
            Host::Ipv6(address) => self.allows(address.into()),
            Host::Domain(name) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let here = name == "localhost" || name.ends_with(".localhost");
                if here && self == Self::Public { Err(Unreachable::Private) } else { Ok(()) }
            }
        }
    }

    /// Whether this address may be connected to.
    pub fn allows(self, address: IpAddr) -> Result<(), Unreachable> {
        let address = plain(address);
        if is_never(address) || METADATA.contains(&address) {
            return Err(Unreachable::Never);
        }
        if self == Self::Public && is_private(address) {
            return Err(Unreachable::Private);
        }
        Ok(())
    }
}

/// An IPv4 address is one in whatever coat: mapped, compatible, or translated (NAT64, 6to4).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let four = |high: u16, low: u16| {
        let ([one, two], [three, four]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(one, two, three, four))
    };
    match six.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => four(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        [0x2002, high, low, ..] => four(high, low),
        _ => address,
    }
}

fn is_never(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [first, ..] = four.octets();
            four.is_link_local() || four.is_multicast() || first == 0 || first >= 240
        }
        IpAddr::V6(six) => {
            six.is_unicast_link_local() || six.is_multicast() || six.is_unspecified()
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [first, second, third, _] = four.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let benchmark = first == 198 && matches!(second, 18 | 19);
            let protocols = first == 192 && second == 0 && third == 0;
            four.is_private()
                || four.is_loopback()
                || four.is_documentation()
                || shared
                || benchmark
                || protocols
        }
        IpAddr::V6(six) => {
            let documentation = six.segments()[..2] == [0x2001, 0xdb8];
            let site_local = six.segments()[0] & 0xffc0 == 0xfec0;
            six.is_loopback() || six.is_unique_local() || documentation || site_local
        }
    }
}

/// The machine's own resolver, with what may not be reached taken out of its answers.
impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (mut allowed, mut refused) = (Vec::new(), None);
            for address in found {
                match reach.allows(address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                // One address inside is one too many: which one is taken is the connector's choice.
                Some(why) => Err(why.into()),
                None => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: Reach, host: &str) -> Result<(), Unreachable> {
        reach.check(&Url::parse(&["http:", "//", host].concat()).unwrap())
    }

    #[test]
    fn the_world_is_reached_and_nothing_inside() {
        for open in ["pay.example", "8.8.8.8", "[2606:4700::1111]"] {
            assert_eq!(check(Reach::Public, open), Ok(()), "{open}");
            assert_eq!(check(Reach::Private, open), Ok(()), "{open}");
        }
        for inside in [
            "127.0.0.1:9000",
            "localhost",
            "a.localhost.",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "[::1]",
            "[fd12::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[2002:a00:1::]",
            // Other spellings of 127.0.0.1, which a URL reads as numbers.
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
        ] {
            assert_eq!(check(Reach::Public, inside), Err(Unreachable::Private), "{inside}");
            assert_eq!(check(Reach::Private, inside), Ok(()), "{inside}");
        }
    }

    #[test]
    fn metadata_and_links_are_never_reached() {
        for never in [
            "169.254.169.254",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "0.0.0.0",
            "[::]",
            "224.0.0.1",
            "255.255.255.255",
            "[::ffff:169.254.169.254]",
            "[::169.254.169.254]",
            "[2002:a9fe:a9fe::]",
            "2852039166",
        ] {
            for reach in [Reach::Public, Reach::Private] {
                assert_eq!(check(reach, never), Err(Unreachable::Never), "{never}");
            }
        }
        for none in ["ftp:a.example", "mailto:a@b.example", "data:,x"] {
            let none = Url::parse(none).unwrap();
            assert_eq!(Reach::Private.check(&none), Err(Unreachable::NoAddress), "{none}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let localhost = || "localhost".parse::<Name>().unwrap();
        let refused = Reach::Public.resolve(localhost()).await.map(drop).unwrap_err();
        assert_eq!(refused.downcast_ref(), Some(&Unreachable::Private));
        let found: Vec<_> = Reach::Private.resolve(localhost()).await.unwrap().collect();
        assert!(found.iter().all(|address| address.ip().is_loopback()) && !found.is_empty());
    }
}
