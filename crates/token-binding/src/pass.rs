//! What of a verified message an application or a backend gets: `TokenBindingPassVar`.

use std::fmt;
use std::str::FromStr;

/// A set of the things that can be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    variables: u8,
    headers: u8,
    explicit: bool,
}

/// One thing that can be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Item {
    /// The provided Token Binding ID, its hash and its key parameters.
    Provided = 1,
    /// The referred Token Binding ID.
    Referred = 2,
    /// IDs of other types.
    Other = 4,
    /// The connection's context with its EKM, and the message itself: with both a backend can verify on its own.
    Context = 8,
}

/// Where nothing is said: all as variables, but no EKM in a header, since a backend is another machine.
// draft-campbell-tokbind-tls-term §2: the context is added only where it is explicitly configured.
impl Default for Pass {
    fn default() -> Self {
        let headers = Item::Provided as u8 | Item::Referred as u8 | Item::Other as u8;
        Self { variables: headers | Item::Context as u8, headers, explicit: false }
    }
}

/// A list of words that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// Not a word of the list.
    #[error("'{0}' is none of provided, referred, other, context, none")]
    Unknown(String),
    /// `none` together with others.
    #[error("'none' stands alone")]
    NoneWithOthers,
    /// No word at all.
    #[error("at least one of provided, referred, other, context, or none")]
    Empty,
}

impl FromStr for Item {
    type Err = PassError;

    fn from_str(word: &str) -> Result<Self, PassError> {
        match word.to_ascii_lowercase().as_str() {
            "provided" => Ok(Self::Provided),
            "referred" => Ok(Self::Referred),
            "other" => Ok(Self::Other),
            "context" => Ok(Self::Context),
            _ => Err(PassError::Unknown(word.to_owned())),
        }
    }
}

impl Pass {
    /// An administrator's list, which governs variables and headers alike.
    ///
    /// # Errors
    /// An unknown word, `none` among others, or no word.
    pub fn from_words<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, PassError> {
        let words: Vec<_> = words.into_iter().collect();
        let items = match words.as_slice() {
            [] => return Err(PassError::Empty),
            [none] if none.eq_ignore_ascii_case("none") => 0,
            words if words.iter().any(|word| word.eq_ignore_ascii_case("none")) => {
                return Err(PassError::NoneWithOthers);
            }
            words => words
                .iter()
                .try_fold(0, |items, word| Ok::<u8, PassError>(items | word.parse::<Item>()? as u8))?,
        };
        Ok(Self { variables: items, headers: items, explicit: true })
    }

    /// One more list for the same section: both count, as in version 1.x.
    ///
    /// # Errors
    /// One of the two is `none`.
    pub const fn and(self, more: Self) -> Result<Self, PassError> {
        if (self.variables == 0) != (more.variables == 0) {
            return Err(PassError::NoneWithOthers);
        }
        let (variables, headers) = (self.variables | more.variables, self.headers | more.headers);
        Ok(Self { variables, headers, explicit: true })
    }

    /// The item becomes a variable.
    #[must_use]
    pub const fn variable(self, item: Item) -> bool {
        self.variables & item as u8 != 0
    }

    /// The item becomes a request header for what is behind this server.
    #[must_use]
    pub const fn header(self, item: Item) -> bool {
        self.headers & item as u8 != 0
    }

    /// `Sec-Token-Binding` itself goes on to the backend.
    // draft-ietf-tokbind-ttrp §2.3: removed; draft-campbell-tokbind-tls-term §2: needed beside the context.
    #[must_use]
    pub const fn message(self) -> bool {
        self.header(Item::Context)
    }

    /// The administrator gave a list.
    #[must_use]
    pub const fn is_explicit(self) -> bool {
        self.explicit
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = [
            (Item::Provided, "provided"),
            (Item::Referred, "referred"),
            (Item::Other, "other"),
            (Item::Context, "context"),
        ]
        .into_iter()
        .filter_map(|(item, word)| self.header(item).then_some(word))
        .collect();
        f.write_str(if words.is_empty() { "none".to_owned() } else { words.join(" ") }.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_the_context_is_a_variable_but_no_header() {
        let pass = Pass::default();
        assert!(pass.variable(Item::Context) && !pass.header(Item::Context) && !pass.message());
        assert!(pass.variable(Item::Provided) && pass.header(Item::Provided) && !pass.is_explicit());
    }

    #[test]
    fn a_list_governs_variables_and_headers() {
        let pass = Pass::from_words(["Provided", "context"]).unwrap();
        assert!(pass.variable(Item::Provided) && pass.header(Item::Provided));
        assert!(pass.header(Item::Context) && pass.message());
        assert!(!pass.variable(Item::Referred) && !pass.header(Item::Other));
        assert_eq!(pass.to_string(), "provided context");
        assert_eq!(Pass::from_words(["none"]).unwrap().to_string(), "none");
    }

    #[test]
    fn several_lists_of_a_section_are_one() {
        let list = |words: &str| Pass::from_words(words.split(' ')).unwrap();
        let both = list("provided").and(list("context")).unwrap();
        assert_eq!(both, list("context provided"));
        assert_eq!(list("none").and(list("none")).unwrap(), list("none"));
        assert_eq!(list("none").and(list("other")), Err(PassError::NoneWithOthers));
        assert_eq!(list("other").and(list("none")), Err(PassError::NoneWithOthers));
    }

    #[test]
    fn senseless_lists_are_refused() {
        assert_eq!(Pass::from_words(["provided", "none"]), Err(PassError::NoneWithOthers));
        assert_eq!(Pass::from_words([]), Err(PassError::Empty));
        let error = Pass::from_words(["providd"]).unwrap_err().to_string();
        assert_eq!(error, "'providd' is none of provided, referred, other, context, none");
    }
}
