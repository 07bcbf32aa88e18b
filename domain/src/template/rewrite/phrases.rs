//! Words that read as an offer, in the languages people write templates in, and a text by its sentences.

/// What reads as an offer.
const OFFERS: [&str; 48] = [
    "sale",
    "discount",
    "discounts",
    "special offer",
    "our offer",
    "deal",
    "deals",
    "coupon",
    "promo",
    "promotion",
    "special price",
    "save up to",
    "for free",
    "free gift",
    "free trial",
    "free shipping",
    "free delivery",
    "cashback",
    "מבצע",
    "מבצעים",
    "הנחה",
    "הנחות",
    "חינם",
    "קופון",
    "מתנה",
    "מחיר מיוחד",
    "הטבה",
    "הטבות",
    "מחירים מיוחדים",
    "خصم",
    "خصومات",
    "تخفيض",
    "تخفيضات",
    "عرض خاص",
    "عروض",
    "مجانا",
    "مجاناً",
    "كوبون",
    "скидка",
    "скидки",
    "скидку",
    "скидкой",
    "акция",
    "распродажа",
    "бесплатно",
    "подарок",
    "купон",
    "промокод",
];
/// What presses.
const PRESSURE: [&str; 24] = [
    "buy now",
    "shop now",
    "order now",
    "hurry",
    "limited time",
    "last chance",
    "only today",
    "don't miss",
    "קנו עכשיו",
    "הזמינו עכשיו",
    "מהרו",
    "לזמן מוגבל",
    "הזדמנות אחרונה",
    "רק היום",
    "אל תפספסו",
    "אל תחמיצו",
    "اشتر الآن",
    "لفترة محدودة",
    "الفرصة الأخيرة",
    "اليوم فقط",
    "купите сейчас",
    "только сегодня",
    "успейте",
    "не пропустите",
];

/// Why a text reads as marketing, if it does.
pub fn promotional(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let first = |list: &[&'static str]| list.iter().copied().find(|phrase| says(&lower, phrase));
    if let Some(phrase) = first(&OFFERS) {
        return Some(format!("`{phrase}` reads as an offer"));
    }
    if let Some(phrase) = first(&PRESSURE) {
        return Some(format!("`{phrase}` presses people"));
    }
    let percent =
        lower.char_indices().any(|(at, c)| c == '%' && lower[..at].trim_end().ends_with(|c: char| c.is_ascii_digit()));
    percent.then(|| "a percentage reads as a discount".to_owned())
}

/// Whether the phrase stands in the text as words of their own. Hebrew and Arabic write their small words in one with
/// the next, so there only the end counts.
fn says(text: &str, phrase: &str) -> bool {
    let joined = phrase.starts_with(|c: char| ('\u{590}'..='\u{6ff}').contains(&c));
    text.match_indices(phrase).any(|(at, _)| {
        let before = joined || !text[..at].ends_with(char::is_alphanumeric);
        before && !text[at + phrase.len()..].starts_with(char::is_alphanumeric)
    })
}

/// The text's sentences with what separates them: nothing is lost.
pub fn sentences(text: &str) -> Vec<&str> {
    let (mut found, mut from) = (Vec::new(), 0);
    let mut characters = text.char_indices().peekable();
    let mut over = false;
    while let Some((at, c)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        over = c == '\n' || over && c.is_whitespace() || ends(c) && next.is_none_or(char::is_whitespace);
        // What separates two sentences belongs to the first.
        if over && next.is_none_or(|next| !next.is_whitespace()) {
            let end = at + c.len_utf8();
            found.push(&text[from..end]);
            (from, over) = (end, false);
        }
    }
    if from < text.len() {
        found.push(&text[from..]);
    }
    found
}

const fn ends(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '؟')
}

/// The text without exclamation marks and pictures, and those.
pub fn clean(text: &str) -> (String, String) {
    let (mut kept, mut removed) = (String::with_capacity(text.len()), String::new());
    for c in text.chars() {
        match c {
            '!' => {
                removed.push(c);
                if !kept.ends_with(['.', '?']) {
                    kept.push('.');
                }
            }
            c if is_picture(c) => removed.push(c),
            // Where a picture stood, one space is enough.
            ' ' if !removed.is_empty() && kept.ends_with(' ') => {}
            c => kept.push(c),
        }
    }
    let kept = kept.trim();
    (if removed.is_empty() { text.trim() } else { kept }.to_owned(), removed)
}

const fn is_picture(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{fe0f}' | '\u{200d}' | '\u{2b50}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_words() {
        for text in ["A big SALE", "20% off", "save 5 %", "רק אצלנו במבצע!", "הנחה", "خصم كبير", "только сегодня"]
        {
            assert!(promotional(text).is_some(), "{text}");
        }
        for text in ["wholesale order 7", "your dealer called", "feel free to reply", "% of", "שלום {{1}}", "התור נקבע"]
        {
            assert_eq!(promotional(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_is_the_sum_of_its_sentences() {
        let text = "One. Two at 10.30!  Three?\nSee https://x.example/a.b\n\nEnd";
        let all = sentences(text);
        assert_eq!(all, ["One. ", "Two at 10.30!  ", "Three?\n", "See https://x.example/a.b\n\n", "End"]);
        assert_eq!(all.concat(), text);
        assert_eq!(sentences(""), Vec::<&str>::new());
    }

    #[test]
    fn what_shouts_is_taken_out() {
        assert_eq!(clean("Done!!! 🎉 Bye?!"), ("Done. Bye?".to_owned(), "!!!🎉!".to_owned()));
        assert_eq!(clean("As it  is."), ("As it  is.".to_owned(), String::new()));
    }
}
