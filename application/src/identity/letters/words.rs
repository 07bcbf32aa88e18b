//! What letters say, in every language.

use domain::shared::preferences::Language;

use super::Says;

/// Characters of a name a stranger may have chosen: too few for an address or an insult.
const HINT_CHARS: usize = 3;

/// Subject and text.
pub(super) fn of(language: Language, says: &Says) -> (String, String) {
    match says {
        Says::Code { code, username } => {
            let hint: String = username.chars().filter(|letter| letter.is_alphanumeric()).take(HINT_CHARS).collect();
            code_letter(language, code, &format!("{hint}…"))
        }
        Says::AlreadyYours { username } => notice(language, username),
    }
}

fn code_letter(language: Language, code: &str, hint: &str) -> (String, String) {
    let (subject, text) = match language {
        Language::En => (
            "Your FlowBot code",
            format!(
                "Your code is {code}\n\nIt confirms this address for the FlowBot account “{hint}”. It is good for 10 minutes, \
                 and for one use.\n\nIf you did not ask for it, do nothing: without the code nobody can use your address.\n"
            ),
        ),
        Language::He => (
            "הקוד שלך ל-FlowBot",
            format!(
                "הקוד שלך הוא {code}\n\nהקוד מאשר את הכתובת הזו עבור חשבון FlowBot „{hint}”. הוא תקף ל-10 דקות ולשימוש אחד \
                 בלבד.\n\nאם לא ביקשת את הקוד, אין צורך לעשות דבר: בלי הקוד איש לא יוכל להשתמש בכתובת שלך.\n"
            ),
        ),
        Language::Ar => (
            "رمز FlowBot الخاص بك",
            format!(
                "رمزك هو {code}\n\nيؤكد هذا الرمز عنوانك لحساب FlowBot «{hint}». وهو صالح لمدة 10 دقائق ولاستخدام واحد \
                 فقط.\n\nإذا لم تطلب هذا الرمز فلا داعي لفعل أي شيء: لا يستطيع أحد استخدام عنوانك من دونه.\n"
            ),
        ),
        Language::Ru => (
            "Ваш код FlowBot",
            format!(
                "Ваш код: {code}\n\nОн подтверждает этот адрес для учётной записи FlowBot «{hint}». Код действует 10 минут, \
                 использовать его можно один раз.\n\nЕсли вы не запрашивали код, ничего делать не нужно: без него никто не \
                 сможет воспользоваться вашим адресом.\n"
            ),
        ),
    };
    (subject.to_owned(), text)
}

fn notice(language: Language, username: &str) -> (String, String) {
    let (subject, text) = match language {
        Language::En => (
            "You already have a FlowBot account",
            format!(
                "Somebody asked for a FlowBot account with this address. It is yours already: your username is {username}\n\n\
                 If that was you, sign in with this name. If not, do nothing: the other account cannot be used.\n"
            ),
        ),
        Language::He => (
            "כבר יש לך חשבון FlowBot",
            format!(
                "מישהו ביקש לפתוח חשבון FlowBot עם הכתובת הזו. הכתובת כבר שייכת לך: שם המשתמש שלך הוא {username}\n\n\
                 אם הבקשה הגיעה ממך, אפשר להתחבר עם השם הזה. אם לא, אין צורך לעשות דבר: בחשבון האחר אי אפשר להשתמש.\n"
            ),
        ),
        Language::Ar => (
            "لديك حساب FlowBot بالفعل",
            format!(
                "طلب شخص ما إنشاء حساب FlowBot بهذا العنوان، وهو مسجّل باسمك بالفعل: اسم المستخدم الخاص بك هو {username}\n\n\
                 إذا كنت أنت صاحب الطلب فسجّل الدخول بهذا الاسم. وإلا فلا داعي لفعل أي شيء: لا يمكن استخدام الحساب الآخر.\n"
            ),
        ),
        Language::Ru => (
            "У вас уже есть учётная запись FlowBot",
            format!(
                "Кто-то запросил учётную запись FlowBot с этим адресом. Он уже принадлежит вам, ваше имя пользователя: \
                 {username}\n\nЕсли это были вы, войдите под этим именем. Если нет, ничего делать не нужно: другой учётной \
                 записью пользоваться нельзя.\n"
            ),
        ),
    };
    (subject.to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_says_what_it_is_about_in_every_language() {
        let mut subjects = std::collections::HashSet::new();
        for language in Language::ALL {
            let code = Says::Code { code: "012345".into(), username: "http://evil.example/now".into() };
            let (subject, text) = of(*language, &code);
            assert!(text.contains("012345") && text.contains("htt…") && !text.contains("evil"), "{text}");
            assert!(subjects.insert(subject));
            let (subject, text) = of(*language, &Says::AlreadyYours { username: "dana".into() });
            assert!(text.contains("dana") && subjects.insert(subject), "{text}");
        }
    }
}
