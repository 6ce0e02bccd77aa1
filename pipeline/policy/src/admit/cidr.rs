//! Networks a service may call from.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// An IPv4 network as `authorized_cidrs` names it: `a.b.c.d`, alone for `/32`, or `a.b.c.d/n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    network: Ipv4Addr,
    prefix: u8,
}

impl Cidr {
    /// `None` for anything but dotted decimal with an optional prefix of 0 to 32.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            None => (text, 32),
            Some((address, digits)) => {
                let plain = digits.len() <= 2 && digits.bytes().all(|b| b.is_ascii_digit());
                let prefix: u8 = digits.parse().ok()?;
                let canonical = plain && prefix <= 32 && digits == prefix.to_string();
                (address, canonical.then_some(prefix)?)
            }
        };
        Some(Self { network: address.parse().ok()?, prefix })
    }

    /// Whether the address lies inside; an IPv4 address in IPv6 clothes counts as IPv4.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let address = match address.to_canonical() {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => return false,
        };
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
        address.to_bits() & mask == self.network.to_bits() & mask
    }
}

/// The rule of the contract: an empty list means every address.
#[must_use]
pub fn is_inside(cidrs: &[Cidr], address: IpAddr) -> bool {
    cidrs.is_empty() || cidrs.iter().any(|cidr| cidr.contains(address))
}

impl TryFrom<String> for Cidr {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not an IPv4 network: expected a.b.c.d or a.b.c.d/0 to /32")
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        match cidr.prefix {
            32 => cidr.network.to_string(),
            prefix => format!("{}/{prefix}", cidr.network),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cidrs: &[&str], address: &str, inside: bool) {
        let cidrs: Vec<Cidr> = cidrs.iter().map(|text| Cidr::parse(text).unwrap()).collect();
        assert_eq!(is_inside(&cidrs, address.parse().unwrap()), inside, "{cidrs:?} {address}");
    }

    #[test]
    fn an_address_is_inside_its_networks_and_outside_others() {
        check(&[], "198.51.100.11", true);
        check(&[], "2001:db8::1", true);
        check(&["198.51.100.10"], "198.51.100.10", true);
        check(&["198.51.100.10"], "198.51.100.11", false);
        check(&["203.0.113.0/24"], "203.0.113.255", true);
        check(&["203.0.113.0/24"], "203.0.114.0", false);
        check(&["203.0.113.77/24"], "203.0.113.1", true);
        check(&["0.0.0.0/0"], "198.51.100.11", true);
        check(&["0.0.0.0/0"], "2001:db8::1", false);
        check(&["203.0.113.0/24"], "::ffff:203.0.113.9", true);
        check(&["10.0.0.0/8", "203.0.113.0/31"], "203.0.113.2", false);
    }

    #[test]
    fn only_ipv4_networks_are_taken() {
        for bad in ["", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/08", "::/0", "1.2.3.400", "a"] {
            assert!(Cidr::parse(bad).is_none(), "{bad}");
        }
    }
}
