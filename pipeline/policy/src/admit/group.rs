//! Groups: scopes of the owner account, not of the key.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! groups {
    ($($name:ident),* $(,)?) => {
        /// A group the contract knows. The last three are known to the gateway only: they are no scope.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Group { $($name),* }

        impl Group {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As the contract writes it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}
groups!(
    ApiMessageRead,
    ApiMessageWrite,
    ApiLimitedMessageWrite,
    ApiMessageWriteDefaultAddress,
    ApiMessageList,
    ApiMessageWriteEUCovidCert,
    ApiMessageWriteWithPayee,
    ApiMessageWriteWithLegalData,
    ApiMessageWriteWithLegalDataWithoutImpersonification,
    ApiMessageReadWithLegalData,
    ApiLegalMessageRead,
    ApiMessageWriteAdvanced,
    ApiMessageReadAdvanced,
    ApiThirdPartyMessageWrite,
    ApiLimitedProfileRead,
    ApiFullProfileRead,
    ApiProfileWrite,
    ApiDevelopmentProfileWrite,
    ApiServiceRead,
    ApiServiceList,
    ApiServiceWrite,
    ApiPublicServiceRead,
    ApiPublicServiceList,
    ApiServiceByRecipientQuery,
    ApiSubscriptionsFeedRead,
    ApiUserAdmin,
    ApiInfoRead,
    ApiDebugRead,
    ApiNewMessageNotify,
    ApiReminderNotify,
    ApiLollipopAssertionRead,
    ApiRateLimit250,
    ApiNoRateLimit,
    ApiAuthenticationClientCertificate,
);

impl Group {
    fn is_scope(self) -> bool {
        (self as u8) < (Self::ApiRateLimit250 as u8)
    }
}

/// The groups of an account. Reads a list of names and drops those it does not know, as IO does.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Groups(u64);

impl Groups {
    #[must_use]
    pub fn of(groups: &[Group]) -> Self {
        Self(groups.iter().fold(0, |bits, group| bits | 1 << *group as u8))
    }

    /// From names; unknown ones are dropped.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = names
            .into_iter()
            .filter_map(|name| Group::ALL.iter().find(|group| group.name() == name));
        Self(known.fold(0, |bits, group| bits | 1 << *group as u8))
    }

    #[must_use]
    pub fn has(self, group: Group) -> bool {
        self.0 & (1 << group as u8) != 0
    }

    /// In at least one group that is a scope.
    #[must_use]
    pub fn has_scope(self) -> bool {
        self.iter().any(Group::is_scope)
    }

    pub fn iter(self) -> impl Iterator<Item = Group> {
        Group::ALL.iter().copied().filter(move |group| self.has(*group))
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Groups {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.iter().map(Group::name))
    }
}

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(d)?;
        Ok(Self::from_names(names.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_dropped_and_known_ones_read_back() {
        let read: Groups = serde_json::from_str(r#"["ApiMessageRead","Marmalade"]"#).unwrap();
        assert_eq!(read, Groups::of(&[Group::ApiMessageRead]));
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["ApiMessageRead"]"#);
        assert!(Group::ALL.len() <= 64);
    }

    #[test]
    fn a_group_of_the_gateway_is_no_scope() {
        assert!(!Groups::of(&[Group::ApiRateLimit250, Group::ApiNoRateLimit]).has_scope());
        assert!(Groups::of(&[Group::ApiInfoRead]).has_scope());
    }
}
