//! Pages of lists.

use crate::error::AppError;

/// Rows of a page when the client does not say.
pub const LIMIT_DEFAULT: u32 = 50;
/// Rows of a page at most.
pub const LIMIT_MAX: u32 = 200;

/// Which page is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageRequest {
    /// Rows, 1 to 200.
    pub limit: u32,
    /// Where the last page ended.
    pub after: Option<Cursor>,
}

/// The place between two rows: the sort value and the key of the row before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The sort value.
    pub sort: String,
    /// The row's key.
    pub key: String,
}

impl Cursor {
    /// As clients carry it. Opaque to them.
    pub fn token(&self) -> String {
        format!("{}~{}", self.sort, self.key).bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`Cursor::token`] wrote.
    ///
    /// # Errors
    /// It is no cursor of ours.
    pub fn read(token: &str) -> Result<Self, AppError> {
        let bad = || AppError::not_our_cursor();
        let digits = token.as_bytes();
        if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
            return Err(bad());
        }
        let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
        let text = String::from_utf8(bytes.ok_or_else(bad)?).map_err(|_| bad())?;
        if text.contains('\0') {
            return Err(bad());
        }
        let (sort, key) = text.split_once('~').ok_or_else(bad)?;
        Ok(Self { sort: sort.to_owned(), key: key.to_owned() })
    }
}

/// A page, and where the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The next page's cursor.
    pub next: Option<Cursor>,
    /// All rows, where that is cheap.
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// The same page with its rows seen otherwise.
    pub fn map<U>(self, see: impl FnMut(T) -> U) -> Page<U> {
        let Self { rows, next, total } = self;
        Page { rows: rows.into_iter().map(see).collect(), next, total }
    }
}
