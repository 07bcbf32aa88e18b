//! What errors and the problems in them say to people, by language and code. Codes never change; English keeps the
//! words of the place the error comes from, which know more than a table can.

mod ar;
mod he;
mod ru;

use domain::flow::validation::Problem;
use domain::shared::preferences::Language;
use poem::http::{HeaderMap, header};

/// What an error with this code says; none in English, and for a code nobody translated.
pub fn text(language: Language, code: &str) -> Option<&'static str> {
    texts(language).iter().find(|(known, _)| *known == code).map(|(_, text)| *text)
}

/// Every code with its text; none in English.
pub const fn texts(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::En => &[],
        Language::He => he::TEXTS,
        Language::Ar => ar::TEXTS,
        Language::Ru => ru::TEXTS,
    }
}

/// What a problem with this code says, with `{name}` in the place of each value; as [`text`].
pub fn reason(language: Language, code: &str) -> Option<&'static str> {
    reasons(language).iter().find(|(known, _)| *known == code).map(|(_, words)| *words)
}

/// Every code of a problem with its words; none in English.
pub const fn reasons(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::En => &[],
        Language::He => he::REASONS,
        Language::Ar => ar::REASONS,
        Language::Ru => ru::REASONS,
    }
}

/// The problems in this language. One that was stored before it had a code keeps its words.
pub fn told(language: Language, problems: Vec<Problem>) -> Vec<Problem> {
    let told = |problem: Problem| match reason(language, &problem.code) {
        Some(words) => problem.in_words(words),
        None => problem,
    };
    problems.into_iter().map(told).collect()
}

/// The language a browser likes best of those we speak (RFC 9110, 12.5.4).
pub fn accepted(headers: &HeaderMap) -> Option<Language> {
    let lists = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
    let wishes = lists.flat_map(|list| list.split(',')).filter_map(wish);
    // Of those that are liked equally, the first.
    let best = wishes.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(language, _)| language)
}

/// `he-IL;q=0.8`: the language and how much it is liked, in thousandths.
fn wish(text: &str) -> Option<(Language, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next()?.split('-').next()?.to_ascii_lowercase();
    // Browsers of old call Hebrew `iw`.
    let language = if tag == "iw" { Language::He } else { Language::from_word(&tag)? };
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let quality: f32 = quality.map_or(Some(1.0), |text| text.trim().parse().ok())?;
    let thousandths = (quality.clamp(0.0, 1.0) * 1_000.0) as u16;
    (thousandths > 0).then_some((language, thousandths))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn chosen(text: &str) -> Option<Language> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, text.parse().unwrap());
        accepted(&headers)
    }

    #[test]
    fn the_language_that_is_liked_best_is_spoken() {
        for (text, language) in [
            ("he-IL,he;q=0.9,en-US;q=0.8", Some(Language::He)),
            ("fr, en;q=0.5, ar;q=0.7", Some(Language::Ar)),
            ("ru;q=0.5, en;q=0.5", Some(Language::Ru)),
            ("iw", Some(Language::He)),
            ("RU", Some(Language::Ru)),
            ("he;q=0, en;q=0.1", Some(Language::En)),
            ("fr, *", None),
            ("he;q=much", None),
            ("", None),
        ] {
            assert_eq!(chosen(text), language, "{text}");
        }
        assert_eq!(accepted(&HeaderMap::new()), None);
    }

    #[test]
    fn every_language_has_the_same_codes_once_and_a_text_of_its_own_for_each() {
        for table in [texts as fn(Language) -> &'static [(&'static str, &'static str)], reasons] {
            let codes = |language| table(language).iter().map(|(code, _)| *code).collect::<Vec<_>>();
            let all = codes(Language::He);
            assert!(all.is_sorted() && all.iter().collect::<HashSet<_>>().len() == all.len(), "sorted, once");
            let letters = [(Language::He, 'א'..='ת'), (Language::Ar, 'ء'..='ي'), (Language::Ru, 'А'..='я')];
            for (language, letters) in letters {
                assert_eq!(codes(language), all, "{language}");
                for (code, text) in table(language) {
                    assert!(text.chars().any(|letter| letters.contains(&letter)), "{language} {code}");
                }
            }
            assert!(codes(Language::En).is_empty());
        }
    }

    #[test]
    fn problems_are_told_with_what_they_name() {
        let problem = Problem::of_field("text", domain::reason!("too_long", "has at most {max} characters", max = 60));
        let [russian, english] = [Language::Ru, Language::En].map(|it| told(it, vec![problem.clone()]).remove(0));
        assert!(russian.reason.contains("60") && russian.reason != problem.reason, "{}", russian.reason);
        assert_eq!(
            (russian.field, russian.code, russian.values),
            (problem.field.clone(), problem.code.clone(), problem.values.clone())
        );
        assert_eq!(english, problem);
        let before = Problem { code: String::new(), ..problem };
        assert_eq!(told(Language::Ru, vec![before.clone()]), [before]);
    }
}
