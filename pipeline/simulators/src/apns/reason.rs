//! The reasons for which APNs refuses, with their statuses: Apple, "Handling notification responses
//! from APNs", table of `:status` and `reason`.

use std::borrow::Cow;

use http::StatusCode;

macro_rules! reasons {
    ($($name:ident $status:literal),* $(,)?) => {
        /// Why a notification was refused; named as APNs names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Reason { $($name),* }

        impl Reason {
            pub(crate) fn name(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name)),* }
            }

            pub(crate) fn status(self) -> StatusCode {
                let code: u16 = match self { $(Reason::$name => $status),* };
                StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// How `/counts` calls it.
            pub(crate) fn label(self) -> Cow<'static, str> {
                match self { $(Reason::$name => concat!($status, " ", stringify!($name)).into()),* }
            }

            pub(crate) fn parse(name: &str) -> Option<Reason> {
                match name { $(stringify!($name) => Some(Reason::$name),)* _ => None }
            }
        }
    };
}

reasons! {
    BadCollapseId 400,
    BadDeviceToken 400,
    BadExpirationDate 400,
    BadMessageId 400,
    BadPriority 400,
    BadTopic 400,
    DeviceTokenNotForTopic 400,
    DuplicateHeaders 400,
    IdleTimeout 400,
    InvalidPushType 400,
    MissingDeviceToken 400,
    MissingTopic 400,
    PayloadEmpty 400,
    TopicDisallowed 400,
    BadCertificate 403,
    BadCertificateEnvironment 403,
    // Documented as the first, sent by the real service as the second, by several senders' tests.
    BadEnvironmentKeyIdInToken 403,
    BadEnvironmentKeyInToken 403,
    ExpiredProviderToken 403,
    Forbidden 403,
    InvalidProviderToken 403,
    MissingProviderToken 403,
    UnrelatedKeyIdInToken 403,
    BadPath 404,
    MethodNotAllowed 405,
    ExpiredToken 410,
    Unregistered 410,
    PayloadTooLarge 413,
    TooManyProviderTokenUpdates 429,
    TooManyRequests 429,
    InternalServerError 500,
    ServiceUnavailable 503,
    Shutdown 503,
}
