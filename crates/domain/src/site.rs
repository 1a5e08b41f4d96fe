//! Sites: what a page's chat, or an app, starts from. A site is a realm's; its configuration is a row of the
//! directory, under a key that no other site has, so that it can be read on any node without the realm.
//!
//! A configuration is an object of environments. The one called `default` is there always; others are put over it,
//! one after the other, if a page names them. What is known of their members is checked, other members are kept.

mod asked;

pub use asked::{ANSWERS, Asked};

use crate::questionnaire::{Names, Place, Questionnaire, Wrong};
use crate::realm::Realm;
use levee_proto::{Id, Object, Text, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The namespace of sites in the directory, by their keys.
pub const SITES: &str = "site";
/// How long keys are.
const KEY: std::ops::RangeInclusive<usize> = 3..=64;
/// The environment that is there always.
const DEFAULT: &str = "default";
/// What a site is about, in a list of sites.
const DESCRIPTION: &str = "description";
/// Environments of a configuration at most, and those that a page can name.
pub(crate) const ENVIRONMENTS: usize = 32;
/// Queues that an environment lists at most.
const QUEUES: usize = 200;
/// The realm of an environment.
const REALM: &str = "audienceRealmId";
/// What is asked before an audience.
const PRE: &str = "preAudienceQuestionnaire";
/// What is asked after one.
const POST: &str = "postAudienceQuestionnaire";

/// Members that are texts; `false` stands for none.
const TEXTS: &[&str] = &[
    "agentName",
    "audienceRegisteredClosedText",
    "audienceRegisteredText",
    "closeConfirmText",
    "inQueueText",
    "language",
    "motd",
    "noQueuesText",
    "postAudienceQuestionnaireTitlebar",
    "questionnaireAvatar",
    "questionnaireName",
    "ratingInfoText",
    "sendButtonText",
    "userName",
    "videoMeetingInfoText",
    "welcome",
];
/// Members that are true or false.
const FLAGS: &[&str] =
    &["audienceRating", "closeButton", "newUI", "noThanksButton", "supportFiles", "supportVideo"];
/// Members that are a text, or true or false.
const FLAGS_OR_TEXTS: &[&str] = &["agentAvatar", "userAvatar"];
/// Members that are objects.
const OBJECTS: &[&str] = &["audienceMetadata", "window"];
/// Members that say how a questionnaire looks.
const STYLES: &[&str] = &["preAudienceQuestionnaireStyle", "postAudienceQuestionnaireStyle"];

/// A site, as the directory keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteRow {
    /// The realm.
    pub realm: Id,
    /// Whether it is shown to everybody.
    pub enabled: bool,
    /// The configuration.
    pub config: Object,
}

impl SiteRow {
    /// Reads a row.
    pub fn read(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }
}

/// What a realm itself knows of a site.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Whether it is shown to everybody.
    pub enabled: bool,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

impl Site {
    /// Of a configuration.
    pub fn new(enabled: bool, config: &Object) -> Self {
        let description = config.get(DESCRIPTION).and_then(Value::as_str).map(Text::from);
        Self { enabled, description }
    }
}

/// Whether a text can be a site's key.
pub fn is_key(text: &str) -> bool {
    KEY.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A configuration as a realm keeps it: checked, and with the realm in it.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn checked(id: &Id, realm: &Realm, config: Object) -> Result<Object, Wrong> {
    let mut config = Value::Object(config);
    let root = Place::root("site_config", &config);
    if let Some(description) = root.member(DESCRIPTION) {
        description.text(limits::NAME_BYTES)?;
    }
    let mut environments = 0;
    for (name, environment) in root.members()?.filter(|(_, member)| member.value.is_object()) {
        environments += 1;
        if environments > ENVIRONMENTS {
            return Err(root.wrong(format!("has more than {ENVIRONMENTS} environments")));
        }
        if name.len() > limits::NAME_BYTES {
            return Err(root.wrong("has an environment with a name that is too long"));
        }
        check(id, realm, &environment)?;
    }
    let default = root.member(DEFAULT).ok_or_else(|| root.wrong("has no default"))?;
    default.object()?;
    config[DEFAULT][REALM] = json!(id);
    let Value::Object(config) = config else { return Ok(Object::new()) };
    if serde_json::to_vec(&config).map_or(usize::MAX, |text| text.len()) > limits::SITE_BYTES {
        return Err(Wrong {
            path: "site_config".into(),
            reason: format!("has more than {} bytes", limits::SITE_BYTES),
        });
    }
    Ok(config)
}

/// Checks what is known of the members of an environment.
fn check(id: &Id, realm: &Realm, environment: &Place<'_>) -> Result<(), Wrong> {
    let names = |place: &Place<'_>| match &Id::from(place.text(limits::NAME_BYTES)?) {
        queue if realm.queues.contains(queue) => Ok(()),
        _ => Err(place.wrong("is no queue of the realm")),
    };
    for (name, member) in environment.members()? {
        match name {
            REALM if member.value != id.as_str() => return Err(member.wrong("is another realm")),
            "audienceAutoQueue" => names(&member)?,
            "audienceQueues" => member.items(QUEUES)?.iter().try_for_each(names)?,
            "translations" => {
                for (_, text) in member.members()? {
                    text.text(limits::SITE_BYTES)?;
                }
            }
            PRE | POST => check_questionnaire(realm, &member)?,
            name if STYLES.contains(&name) => check_style(&member)?,
            name if TEXTS.contains(&name) => check_text(&member, *member.value == Value::Bool(false))?,
            name if FLAGS.contains(&name) => drop(member.flag()?),
            name if FLAGS_OR_TEXTS.contains(&name) => check_text(&member, member.value.is_boolean())?,
            name if OBJECTS.contains(&name) => drop(member.object()?),
            _ => {}
        }
    }
    Ok(())
}

fn check_style(place: &Place<'_>) -> Result<(), Wrong> {
    match place.text(limits::NAME_BYTES)? {
        "form" | "conversation" => Ok(()),
        _ => Err(place.wrong("is neither form nor conversation")),
    }
}

/// Fails unless a member is a text, or something else that may stand there instead of one.
fn check_text(place: &Place<'_>, instead: bool) -> Result<(), Wrong> {
    if instead { Ok(()) } else { place.text(limits::SITE_BYTES).map(drop) }
}

fn check_questionnaire(realm: &Realm, place: &Place<'_>) -> Result<(), Wrong> {
    let (_, Names { queues, tags }) = Questionnaire::parse(place)?;
    let wrong = |path: String, reason: &str| Err(Wrong { path, reason: reason.into() });
    if let Some((path, _)) = queues.into_iter().find(|(_, queue)| !realm.queues.contains(queue)) {
        return wrong(path, "is no queue of the realm");
    }
    if let Some((path, _)) = tags.into_iter().find(|(_, tag)| realm.tags.get(tag).is_none()) {
        return wrong(path, "is no tag of the realm");
    }
    Ok(())
}
