//! Variants of a template's body by fixed rules: a lead, a closing, another layout. It thinks of nothing, says so, and
//! keeps every word and placeholder of the source.

use application::error::AppResult;
use application::templates::variants::{VariantWish, VariantWriter, WrittenVariants};
use async_trait::async_trait;
use domain::template::components::texts::BODY_CHARS_MAX;
use domain::template::rewrite::phrases::{clean, sentences};

/// Writes variants by fixed rules.
pub struct SandboxVariants;

/// What can stand before and behind a body in a language.
struct Phrases {
    leads: [&'static str; 3],
    closings: [&'static str; 3],
}

const ENGLISH: Phrases = Phrases {
    leads: ["A short update:", "For your information:", "A note about your request:"],
    closings: ["Questions? Just reply to this message.", "We are here if you need us.", "Thank you for being with us."],
};
const HEBREW: Phrases = Phrases {
    leads: ["עדכון קצר:", "לידיעתכם:", "הודעה בנוגע לפנייתכם:"],
    closings: ["יש שאלות? אפשר פשוט להשיב להודעה הזו.", "אנחנו כאן לכל שאלה.", "תודה שאתם איתנו."],
};
const ARABIC: Phrases = Phrases {
    leads: ["تحديث قصير:", "للعلم:", "ملاحظة بخصوص طلبكم:"],
    closings: ["لديكم سؤال؟ يكفي الرد على هذه الرسالة.", "نحن هنا إذا احتجتم إلينا.", "شكراً لكم."],
};
const RUSSIAN: Phrases = Phrases {
    leads: ["Короткое сообщение:", "Для вашего сведения:", "По поводу вашего запроса:"],
    closings: [
        "Есть вопросы? Просто ответьте на это сообщение.",
        "Мы на связи, если понадобимся.",
        "Спасибо, что вы с нами.",
    ],
};

#[async_trait]
impl VariantWriter for SandboxVariants {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    async fn write(&self, wish: &VariantWish) -> AppResult<WrittenVariants> {
        let mut texts: Vec<String> = Vec::new();
        for text in candidates(wish.source_body.trim()) {
            let fits = text.chars().count() <= BODY_CHARS_MAX && text != wish.source_body.trim();
            if fits && !texts.contains(&text) && texts.len() < wish.count {
                texts.push(text);
            }
        }
        let mut remarks = vec!["written by fixed rules, not by a model".to_owned()];
        if wish.extra_instructions.as_ref().is_some_and(|it| !it.trim().is_empty()) {
            remarks.push("extraInstructions were not followed: fixed rules follow none".to_owned());
        }
        Ok(WrittenVariants { texts, remarks })
    }
}

/// Every variant there is, the plainest first.
fn candidates(source: &str) -> Vec<String> {
    let Phrases { leads, closings } = phrases(source);
    let calm = clean(source).0;
    let lines: Vec<&str> = sentences(source).into_iter().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut all = vec![format!("{} {source}", leads[0]), format!("{source} {}", closings[0]), calm, lines.join("\n")];
    all.extend(leads[1..].iter().map(|lead| format!("{lead} {source}")));
    all.extend(closings[1..].iter().map(|closing| format!("{source} {closing}")));
    for lead in leads {
        all.extend(closings.iter().map(|closing| format!("{lead} {source} {closing}")));
    }
    all
}

/// In the language whose letters the text has most of.
fn phrases(text: &str) -> Phrases {
    let count = |range: std::ops::RangeInclusive<char>| text.chars().filter(|c| range.contains(c)).count();
    let latin = text.chars().filter(char::is_ascii_alphabetic).count();
    let found = [
        (count('\u{590}'..='\u{5ff}'), HEBREW),
        (count('\u{600}'..='\u{6ff}'), ARABIC),
        (count('\u{400}'..='\u{4ff}'), RUSSIAN),
    ];
    let most = found.into_iter().filter(|(letters, _)| *letters > latin).max_by_key(|(letters, _)| *letters);
    most.map_or(ENGLISH, |(_, phrases)| phrases)
}

#[cfg(test)]
mod tests {
    use domain::template::category::Category;
    use domain::template::variants::{VARIANTS_MAX, problems};

    use super::*;

    #[tokio::test]
    async fn every_variant_keeps_to_the_rules_and_the_same_wish_gives_the_same() {
        for source in
            ["שלום {{1}}, התור שלך נקבע ל-{{2}}. נשמח לראות אותך!", "Hi {{name}}, your order is ready! Come by."]
        {
            let wish = VariantWish {
                source_body: source.to_owned(),
                source_category: Category::Utility,
                count: VARIANTS_MAX,
                extra_instructions: Some("shorter".to_owned()),
            };
            let written = SandboxVariants.write(&wish).await.unwrap();
            assert_eq!((written.texts.len(), written.remarks.len()), (VARIANTS_MAX, 2));
            for text in &written.texts {
                assert_eq!(problems(source, text), [], "{text}");
            }
            assert_eq!(SandboxVariants.write(&wish).await.unwrap(), written);
        }
        assert!(candidates("שלום {{1}} וברוכים").iter().any(|it| it.starts_with("עדכון")));
    }
}
