//! The fields of `SendMessageRequest`, as in the discovery document of `fcm.googleapis.com` v1,
//! revision
//! 20261023 (it ships in the Python package google-api-python-client 2.202.0).

/// The type of a value.
pub(super) enum Kind {
    Text,
    Bool,
    Int32,
    Float,
    Duration,
    Time,
    /// Any object: `google.protobuf.Struct`.
    Struct,
    /// Text by text.
    Map,
    Enum(&'static str, &'static [&'static str]),
    List(&'static Kind),
    Message(&'static str, &'static [Field]),
}

/// A name in camelCase and what stands behind it.
pub(super) type Field = (&'static str, Kind);

pub(super) static REQUEST: &[Field] =
    &[("validateOnly", Kind::Bool), ("message", Kind::Message("Message", MESSAGE))];

static MESSAGE: &[Field] = &[
    ("name", Kind::Text),
    ("token", Kind::Text),
    // A Firebase installation id: what newer SDKs send instead of a token (firebase-admin 7.7).
    ("fid", Kind::Text),
    ("topic", Kind::Text),
    ("condition", Kind::Text),
    ("data", Kind::Map),
    ("notification", Kind::Message("Notification", NOTIFICATION)),
    ("android", Kind::Message("AndroidConfig", ANDROID)),
    ("androidV2", Kind::Message("AndroidConfigV2", ANDROID_V2)),
    ("webpush", Kind::Message("WebpushConfig", WEBPUSH)),
    ("apns", Kind::Message("ApnsConfig", APNS)),
    ("fcmOptions", Kind::Message("FcmOptions", LABEL)),
];

static NOTIFICATION: &[Field] =
    &[("title", Kind::Text), ("body", Kind::Text), ("image", Kind::Text)];

static LABEL: &[Field] = &[("analyticsLabel", Kind::Text)];

static ANDROID: &[Field] = &[
    ("collapseKey", Kind::Text),
    ("priority", Kind::Enum("AndroidMessagePriority", &["NORMAL", "HIGH"])),
    ("ttl", Kind::Duration),
    ("restrictedPackageName", Kind::Text),
    ("data", Kind::Map),
    ("notification", Kind::Message("AndroidNotification", ANDROID_NOTIFICATION)),
    ("fcmOptions", Kind::Message("AndroidFcmOptions", LABEL)),
    ("directBootOk", Kind::Bool),
    ("bandwidthConstrainedOk", Kind::Bool),
    ("restrictedSatelliteOk", Kind::Bool),
];

static ANDROID_NOTIFICATION: &[Field] = &[
    ("title", Kind::Text),
    ("body", Kind::Text),
    ("icon", Kind::Text),
    ("color", Kind::Text),
    ("sound", Kind::Text),
    ("tag", Kind::Text),
    ("clickAction", Kind::Text),
    ("bodyLocKey", Kind::Text),
    ("bodyLocArgs", Kind::List(&Kind::Text)),
    ("titleLocKey", Kind::Text),
    ("titleLocArgs", Kind::List(&Kind::Text)),
    ("channelId", Kind::Text),
    ("ticker", Kind::Text),
    ("sticky", Kind::Bool),
    ("eventTime", Kind::Time),
    ("localOnly", Kind::Bool),
    (
        "notificationPriority",
        Kind::Enum(
            "AndroidNotification.NotificationPriority",
            &[
                "PRIORITY_UNSPECIFIED",
                "PRIORITY_MIN",
                "PRIORITY_LOW",
                "PRIORITY_DEFAULT",
                "PRIORITY_HIGH",
                "PRIORITY_MAX",
            ],
        ),
    ),
    ("defaultSound", Kind::Bool),
    ("defaultVibrateTimings", Kind::Bool),
    ("defaultLightSettings", Kind::Bool),
    ("vibrateTimings", Kind::List(&Kind::Duration)),
    (
        "visibility",
        Kind::Enum(
            "AndroidNotification.Visibility",
            &["VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"],
        ),
    ),
    ("notificationCount", Kind::Int32),
    ("lightSettings", Kind::Message("LightSettings", LIGHT_SETTINGS)),
    ("image", Kind::Text),
    ("bypassProxyNotification", Kind::Bool),
    (
        "proxy",
        Kind::Enum(
            "AndroidNotification.Proxy",
            &["PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"],
        ),
    ),
];

/// Mutually exclusive with `android`; `backgroundSync` is an empty message.
static ANDROID_V2: &[Field] = &[
    ("backgroundSync", Kind::Message("AndroidBackgroundSyncMessage", &[])),
    ("remoteNotification", Kind::Message("AndroidRemoteNotification", REMOTE_NOTIFICATION)),
    ("collapseKey", Kind::Text),
    ("ttl", Kind::Duration),
    ("restrictedPackageName", Kind::Text),
    ("data", Kind::Map),
    ("fcmOptions", Kind::Message("AndroidFcmOptions", LABEL)),
    ("directBootOk", Kind::Bool),
    ("bandwidthConstrainedOk", Kind::Bool),
    ("restrictedSatelliteOk", Kind::Bool),
];

static REMOTE_NOTIFICATION: &[Field] = &[
    ("notification", Kind::Message("AndroidNotificationV2", ANDROID_NOTIFICATION_V2)),
    ("mutableContent", Kind::Bool),
    ("useAsV1DataMessage", Kind::Bool),
];

static ANDROID_NOTIFICATION_V2: &[Field] = &[
    ("id", Kind::Int32),
    ("title", Kind::Text),
    ("body", Kind::Text),
    ("icon", Kind::Text),
    ("color", Kind::Text),
    ("sound", Kind::Text),
    ("tag", Kind::Text),
    ("clickAction", Kind::Text),
    ("bodyLocKey", Kind::Text),
    ("bodyLocArgs", Kind::List(&Kind::Text)),
    ("titleLocKey", Kind::Text),
    ("titleLocArgs", Kind::List(&Kind::Text)),
    ("channelId", Kind::Text),
    ("ticker", Kind::Text),
    ("sticky", Kind::Bool),
    ("eventTime", Kind::Time),
    ("localOnly", Kind::Bool),
    (
        "notificationPriority",
        Kind::Enum(
            "AndroidNotificationV2.NotificationPriority",
            &[
                "PRIORITY_UNSPECIFIED",
                "PRIORITY_MIN",
                "PRIORITY_LOW",
                "PRIORITY_DEFAULT",
                "PRIORITY_HIGH",
                "PRIORITY_MAX",
            ],
        ),
    ),
    ("defaultSound", Kind::Bool),
    ("defaultVibrateTimings", Kind::Bool),
    ("defaultLightSettings", Kind::Bool),
    ("vibrateTimings", Kind::List(&Kind::Duration)),
    (
        "visibility",
        Kind::Enum(
            "AndroidNotificationV2.Visibility",
            &["VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"],
        ),
    ),
    ("notificationCount", Kind::Int32),
    ("lightSettings", Kind::Message("LightSettings", LIGHT_SETTINGS)),
    ("image", Kind::Text),
];

static LIGHT_SETTINGS: &[Field] = &[
    ("color", Kind::Message("Color", COLOR)),
    ("lightOnDuration", Kind::Duration),
    ("lightOffDuration", Kind::Duration),
];

static COLOR: &[Field] =
    &[("red", Kind::Float), ("green", Kind::Float), ("blue", Kind::Float), ("alpha", Kind::Float)];

static WEBPUSH: &[Field] = &[
    ("headers", Kind::Map),
    ("data", Kind::Map),
    ("notification", Kind::Struct),
    ("fcmOptions", Kind::Message("WebpushFcmOptions", WEBPUSH_OPTIONS)),
];

static WEBPUSH_OPTIONS: &[Field] = &[("link", Kind::Text), ("analyticsLabel", Kind::Text)];

static APNS: &[Field] = &[
    ("headers", Kind::Map),
    ("payload", Kind::Struct),
    ("fcmOptions", Kind::Message("ApnsFcmOptions", APNS_OPTIONS)),
    ("liveActivityToken", Kind::Text),
];

static APNS_OPTIONS: &[Field] = &[("analyticsLabel", Kind::Text), ("image", Kind::Text)];
