//! What Meta would refuse about a template somebody wrote: every problem at once, each with the field it stands in.

use crate::flow::validation::Problem;
use crate::reason;
use crate::template::command::Draft;
use crate::template::components;

/// Characters of a name at most (Meta, templates/overview).
pub const NAME_CHARS_MAX: usize = 512;

/// Everything that is wrong with it.
pub fn problems(draft: &Draft) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = &draft.identity.name;
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(letter) {
        let reason = reason!("template_name", "is 1 to {max} of a-z, 0-9 and `_`", max = NAME_CHARS_MAX);
        problems.push(Problem::of_field("name", reason));
    }
    if !is_language(&draft.identity.language) {
        let reason = reason!("template_language", "is a language code as Meta writes it, such as `he` or `en_US`");
        problems.push(Problem::of_field("language", reason));
    }
    draft.category.check(&draft.non_utility, &mut problems);
    problems.extend(components::problems(&draft.category, &draft.components));
    problems
}

/// Two or three letters, and a region or script of two to four where one is meant.
fn is_language(code: &str) -> bool {
    let (language, region) = match code.split_once('_') {
        Some((language, region)) => (language, Some(region)),
        None => (code, None),
    };
    let region_fits = |region: &str| {
        (2..=4).contains(&region.len()) && region.bytes().all(|b| b.is_ascii_alphanumeric() && !b.is_ascii_lowercase())
    };
    (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_lowercase())
        && region.is_none_or(region_fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_written_as_meta_writes_them() {
        for good in ["he", "en", "en_US", "fil", "pt_BR", "zh_CN", "es_419"] {
            assert!(is_language(good), "{good}");
        }
        for bad in ["", "h", "HE", "en-US", "english", "en_", "en_us", "he ", "עב"] {
            assert!(!is_language(bad), "{bad}");
        }
    }
}
