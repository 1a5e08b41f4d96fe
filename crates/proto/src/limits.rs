//! The wire's limits. Each has an error type that says it was reached.

/// Bytes of one action's header (`request_malformed`).
pub const HEADER_BYTES: usize = 64 * 1024;
/// Bytes of one payload part (`message_part_too_long`).
pub const PART_BYTES: usize = 512 * 1024;
/// Bytes of a whole payload (`message_too_long`).
pub const PAYLOAD_BYTES: usize = 1024 * 1024;
/// Parts of a payload (`message_has_too_many_parts`).
pub const PARTS: usize = 32;
/// Bytes of a message type (`message_type_too_long`).
pub const MESSAGE_TYPE_BYTES: usize = 128;
/// Patterns in `message_types` (`message_types_too_long`).
pub const MESSAGE_TYPES: usize = 64;
/// Bytes of a name attribute (`request_malformed`).
pub const NAME_BYTES: usize = 512;
/// Bytes of an object attribute or of settings, encoded (`request_malformed`).
pub const OBJECT_BYTES: usize = 32 * 1024;
/// Bytes of a password (`request_malformed`).
pub const SECRET_BYTES: usize = 1024;
/// Messages that one `load_history` can ask for; larger wishes are cut to it.
pub const HISTORY: u64 = 1000;
/// Members of a channel (`channel_quota_exceeded`).
pub const CHANNEL_MEMBERS: usize = 2000;
/// Files of a channel or a dialogue (`upload_quota_exceeded`).
pub const FILES: usize = 5000;
/// Bytes of a file's name; what is longer is cut.
pub const FILE_NAME_BYTES: usize = 255;
/// Access keys to one thing that are known at a time (`send_rate_limited`).
pub const ACCESS_KEYS: usize = 100;
/// Identities of one user (`permission_denied`).
pub const IDENTITIES: usize = 16;
/// Mails that one user causes within an hour (`send_rate_limited`).
pub const MAILS: usize = 20;
/// Those of them that go to one address (`send_rate_limited`).
pub const MAILS_TO_ONE: usize = 5;
/// Tags of a realm (`permission_denied`).
pub const TAGS: usize = 1000;
/// Levels of a realm's tree of tags (`request_malformed`).
pub const TAG_DEPTH: usize = 10;
/// Bytes of a tag's theme, encoded (`request_malformed`): a realm's tags travel together.
pub const TAG_THEME_BYTES: usize = 1024;
/// Files of a user that are kept (`upload_quota_exceeded`).
pub const USER_FILES: usize = 100_000;
/// Sites of a realm (`permission_denied`).
pub const SITES: usize = 100;
/// Bytes of a site's configuration, encoded (`request_malformed`).
pub const SITE_BYTES: usize = 48 * 1024;
/// Webhooks of a realm (`permission_denied`).
pub const WEBHOOKS: usize = 20;
/// Bytes of a webhook's URL (`request_malformed`).
pub const URL_BYTES: usize = 2048;
/// The largest integer that every client can hold, 2^53 - 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;
