//! Whose address a request comes from.

use std::net::IpAddr;

use hyper::HeaderMap;
use policy::admit::cidr::Cidr;
use serde::Deserialize;

/// A proxy whose word about the client's address is believed: an IPv4 network or one IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum TrustedProxy {
    Network(Cidr),
    Address(IpAddr),
}

impl TryFrom<String> for TrustedProxy {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let network = Cidr::parse(&text).map(Self::Network);
        network
            .or_else(|| text.parse().ok().map(Self::Address))
            .ok_or_else(|| format!("{text:?} is neither an IPv4 network nor an address"))
    }
}

impl TrustedProxy {
    fn covers(self, address: IpAddr) -> bool {
        match self {
            Self::Network(cidr) => cidr.contains(address),
            Self::Address(own) => own == address.to_canonical(),
        }
    }
}

/// The client's address: the peer's own, unless the peer is a trusted proxy that names another in the first
/// header present. A list is read from its right end past further trusted proxies, for its left end is the
/// client's to write. `None`: a trusted proxy named no address that can be read.
pub fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    names: &[String],
    trusted: &[TrustedProxy],
) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|proxy| proxy.covers(address));
    if !is_trusted(peer) {
        return Some(peer.to_canonical());
    }
    let Some(name) = names.iter().find(|name| headers.contains_key(name.as_str())) else {
        return Some(peer.to_canonical());
    };
    let mut nearest = None;
    for value in headers.get_all(name.as_str()).iter().rev() {
        for entry in value.to_str().ok()?.rsplit(',') {
            let address = address_of(entry.trim())?;
            nearest = Some(address);
            if !is_trusted(address) {
                return nearest;
            }
        }
    }
    nearest
}

/// `a.b.c.d`, `a.b.c.d:port`, an IPv6 address, or one in brackets with or without a port.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare.or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, headers: &[(&'static str, &str)], expected: Option<&str>) {
        let names = ["x-client-ip".to_owned(), "x-forwarded-for".to_owned()];
        let trusted = ["127.0.0.0/8", "10.0.0.0/8", "::1"];
        let trusted: Vec<_> =
            trusted.iter().map(|t| TrustedProxy::try_from((*t).to_owned()).unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let found = client_address(peer.parse().unwrap(), &map, &names, &trusted);
        assert_eq!(found, expected.map(|text| text.parse().unwrap()), "{peer} {headers:?}");
    }

    #[test]
    fn a_header_from_an_untrusted_peer_is_not_believed() {
        check("198.51.100.1", &[("x-forwarded-for", "203.0.113.7")], Some("198.51.100.1"));
    }

    #[test]
    fn a_trusted_proxy_names_the_client_and_the_left_end_of_a_list_is_not_believed() {
        check("127.0.0.1", &[], Some("127.0.0.1"));
        check("127.0.0.1", &[("x-client-ip", "203.0.113.7")], Some("203.0.113.7"));
        check("::1", &[("x-forwarded-for", "203.0.113.7:4711")], Some("203.0.113.7"));
        check("127.0.0.1", &[("x-forwarded-for", "1.2.3.4, 203.0.113.7")], Some("203.0.113.7"));
        check(
            "127.0.0.1",
            &[("x-forwarded-for", "1.2.3.4, 203.0.113.7, 10.1.1.1")],
            Some("203.0.113.7"),
        );
        check(
            "127.0.0.1",
            &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "203.0.113.7")],
            Some("203.0.113.7"),
        );
        check("127.0.0.1", &[("x-forwarded-for", "[2001:db8::7]")], Some("2001:db8::7"));
    }

    #[test]
    fn an_address_that_cannot_be_read_is_no_address() {
        check("127.0.0.1", &[("x-forwarded-for", "unknown")], None);
        check("127.0.0.1", &[("x-client-ip", "")], None);
    }
}
