//! The regular expressions of a flow: linear in the text, bounded in size.

use regex::{Regex, RegexBuilder};

/// The most memory one compiled expression may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Compiles an expression; upper and lower case are the same to it.
///
/// # Errors
/// What is wrong with the expression.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| error.to_string())
}

/// Whether the expression is found in the text; one that does not compile is found nowhere.
pub fn found(pattern: &str, text: &str) -> bool {
    compile(pattern).is_ok_and(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_found_or_refused() {
        assert!(found("^order #\\d+$", "Order #12"));
        assert!(!found("(", "("));
        assert!(compile("(").is_err());
        assert!(compile("\\w{1000}{1000}").is_err());
    }
}
