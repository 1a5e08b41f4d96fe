//! What a site asks a customer before an audience, and what the answers come to.
//!
//! The site is looked up and the answers are checked on the way to the queue, which then says whether the site is one
//! of its realm's.

use super::{DEFAULT, PRE, SiteRow};
use crate::questionnaire::{End, Outcome, Place, Questionnaire, Wrong};
use levee_proto::{ErrorType, Id, Object, Rejection, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Answers, in an audience's metadata.
pub const ANSWERS: &str = "pre_answers";
/// Where answers are, for whoever gave wrong ones.
const PATH: &str = "audience_metadata/pre_answers";

/// What a customer's answers to a site's questions come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The site's realm; none if there is no such site.
    realm: Option<Id>,
    outcome: Result<Outcome, Wrong>,
}

impl Asked {
    /// Has a site check the answers in an audience's metadata, as a page asked for them that puts these environments
    /// over the default one.
    pub fn new(site: Option<&SiteRow>, environments: &[Text], metadata: Option<&Object>) -> Self {
        let site = site.filter(|site| site.enabled);
        let none = Outcome { end: End::Complete, answers: Object::new(), tags: Vec::new() };
        let outcome = site.map_or(Ok(none), |site| site.evaluate(environments, metadata));
        Self { realm: site.map(|site| site.realm.clone()), outcome }
    }

    /// What the answers come to in a realm.
    ///
    /// # Errors
    /// `levee_site_not_found` if the site is none of the realm's, be it another one's, disabled or not there at all;
    /// `request_malformed` with the place of a wrong answer.
    pub(crate) fn in_realm(&self, realm: Option<&Id>) -> Result<&Outcome, Rejection> {
        if self.realm.is_none() || self.realm.as_ref() != realm {
            return Err(Rejection::new(ErrorType::SiteNotFound));
        }
        self.outcome.as_ref().map_err(|wrong| wrong.clone().into())
    }
}

impl SiteRow {
    fn evaluate(&self, environments: &[Text], metadata: Option<&Object>) -> Result<Outcome, Wrong> {
        let none = Object::new();
        let given = match metadata.and_then(|metadata| metadata.get(ANSWERS)) {
            None | Some(Value::Null) => &none,
            Some(Value::Object(given)) => given,
            Some(_) => return Err(Wrong { path: PATH.into(), reason: "is not an object".into() }),
        };
        self.questionnaire(environments)?.evaluate(PATH, given)
    }

    /// What is asked before an audience: what the last of the environments says that says something.
    fn questionnaire(&self, environments: &[Text]) -> Result<Questionnaire, Wrong> {
        let named = environments.iter().rev().map(Text::as_str).chain([DEFAULT]);
        let said = |name| self.config.get(name)?.get(PRE).filter(|said| !said.is_null());
        let nothing = Value::Array(Vec::new());
        let said = named.filter_map(said).next().unwrap_or(&nothing);
        Questionnaire::parse(&Place::root(PRE, said)).map(|(questionnaire, _)| questionnaire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn site(config: Value) -> SiteRow {
        SiteRow { realm: "00r".into(), enabled: true, config: config.as_object().cloned().unwrap() }
    }

    fn two_languages() -> SiteRow {
        let asks = |name: &str| json!({"preAudienceQuestionnaire": [{"name": name, "element": "input"}]});
        site(
            json!({"description": "x", "default": asks("en"), "finnish": asks("fi"), "plain": {"motd": "x"}}),
        )
    }

    fn answers(of: &SiteRow, environments: &[&str], answers: Value) -> Result<Value, String> {
        let environments: Vec<Text> = environments.iter().copied().map(Text::from).collect();
        let metadata = json!({"pre_answers": answers}).as_object().cloned();
        let asked = Asked::new(Some(of), &environments, metadata.as_ref());
        let outcome = asked.in_realm(Some(&"00r".into()));
        outcome.map(|outcome| json!(outcome.answers)).map_err(|refusal| refusal.reason.unwrap().into())
    }

    #[test]
    fn the_last_environment_that_says_what_is_asked_is_the_one_that_counts() {
        let of = two_languages();
        for (environments, name) in [
            (&[][..], "en"),
            (&["finnish"], "fi"),
            (&["finnish", "plain", "unknown", "description"], "fi"),
            (&["finnish", "default"], "en"),
        ] {
            assert_eq!(answers(&of, environments, json!({name: "x"})), Ok(json!({name: "x"})), "{name}");
        }
        let wrong = answers(&of, &[], json!({"fi": "x"}));
        assert_eq!(wrong, Err("audience_metadata/pre_answers/fi: is no element of the questionnaire".into()));
    }

    #[test]
    fn a_site_without_questions_takes_no_answers() {
        let of = site(json!({"default": {}}));
        assert_eq!(answers(&of, &[], Value::Null), Ok(json!({})));
        assert!(answers(&of, &[], json!({"x": "y"})).is_err());
        assert_eq!(
            answers(&of, &[], json!([])),
            Err("audience_metadata/pre_answers: is not an object".into())
        );
    }

    #[test]
    fn sites_that_are_absent_disabled_or_elsewhere_look_alike() {
        let here = two_languages();
        let disabled = SiteRow { enabled: false, ..here.clone() };
        let metadata = json!({"pre_answers": {"no such element": 1}}).as_object().cloned();
        for (site, realm) in
            [(None, Some("00r")), (Some(&disabled), Some("00r")), (Some(&here), Some("00s")), (None, None)]
        {
            let asked = Asked::new(site, &[], metadata.as_ref());
            let realm = realm.map(Id::from);
            assert_eq!(asked.in_realm(realm.as_ref()), Err(Rejection::new(ErrorType::SiteNotFound)));
        }
    }
}
