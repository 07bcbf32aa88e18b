//! Categories: UTILITY is agreed to by default, anything else is by a person's word alone.

use serde::{Deserialize, Serialize};

use crate::flow::validation::Problem;
use crate::reason;

/// Characters of a reason at most.
pub const REASON_CHARS_MAX: usize = 500;

open_words! {
    /// What a template is for, which is what it costs (Meta, template-categorization). Older accounts have others.
    Category {
        /// Offers, news, invitations.
        Marketing = "MARKETING",
        /// About something the customer agreed to or asked for.
        Utility = "UTILITY",
        /// One-time codes.
        Authentication = "AUTHENTICATION",
    }
}

/// What a person says when they want another category than UTILITY.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NonUtility {
    /// Whether they want it.
    pub wanted: bool,
    /// Why.
    pub reason: Option<String>,
}

impl NonUtility {
    /// The reason, when there is one that says something.
    pub fn given(&self) -> Option<&str> {
        self.reason.as_deref().map(str::trim).filter(|reason| self.wanted && !reason.is_empty())
    }
}

impl Category {
    /// Whether a template may be sent in this category: UTILITY always, another when it was agreed to.
    pub fn is_cleared(&self, cleared: &[Self]) -> bool {
        *self == Self::Utility || cleared.contains(self)
    }

    /// What is wrong with asking for this category.
    pub fn check(&self, word: &NonUtility, problems: &mut Vec<Problem>) {
        if matches!(self, Self::Other(_)) {
            let reason = reason!("category_unknown", "is UTILITY, MARKETING or AUTHENTICATION");
            problems.push(Problem::of_field("category", reason));
            return;
        }
        if *self != Self::Utility {
            check_word(word, self, problems);
        }
    }
}

/// What is wrong with what a person says for this category, which is another than UTILITY.
pub fn check_word(word: &NonUtility, category: &Category, problems: &mut Vec<Problem>) {
    if !word.wanted {
        let reason = reason!("override_needed", "{category} needs `nonUtilityOverride: true`", category);
        problems.push(Problem::of_field("nonUtilityOverride", reason));
    }
    let given = word.reason.as_deref().map_or("", str::trim);
    if given.is_empty() {
        let reason = reason!("override_reason_needed", "{category} needs a reason", category);
        problems.push(Problem::of_field("nonUtilityOverrideReason", reason));
    }
    if given.chars().count() > REASON_CHARS_MAX {
        let reason = reason!("too_long", "has at most {max} characters", max = REASON_CHARS_MAX);
        problems.push(Problem::of_field("nonUtilityOverrideReason", reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(category: &str, wanted: bool, reason: Option<&str>) -> Vec<String> {
        let mut problems = Vec::new();
        Category::from(category).check(&NonUtility { wanted, reason: reason.map(Into::into) }, &mut problems);
        problems.into_iter().filter_map(|problem| problem.field).collect()
    }

    #[test]
    fn only_utility_needs_no_word() {
        assert!(fields("UTILITY", false, None).is_empty());
        assert_eq!(fields("MARKETING", false, None), ["nonUtilityOverride", "nonUtilityOverrideReason"]);
        assert_eq!(fields("AUTHENTICATION", true, Some("  ")), ["nonUtilityOverrideReason"]);
        assert_eq!(fields("MARKETING", true, Some(&"x".repeat(501))), ["nonUtilityOverrideReason"]);
        assert!(fields("MARKETING", true, Some("spring sale, agreed with Dana")).is_empty());
        assert_eq!(fields("TRANSACTIONAL", true, Some("x")), ["category"]);
    }
}
