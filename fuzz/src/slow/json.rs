//! RFC 8259, and what the project demands beyond it: each member once, at most 32 objects and arrays in each other.

/// A JSON value. Numbers keep their text.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// As it was written.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, in the order of the text.
    Object(Vec<(String, Json)>),
}

const DEEPEST: usize = 32;

impl Json {
    /// A member.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(given, _)| given == name).map(|(_, value)| value)
    }

    /// The string that it is.
    pub fn text(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }
}

/// One object and white space around it.
pub fn parse_object(octets: &[u8]) -> Option<Json> {
    let text: Vec<char> = std::str::from_utf8(octets).ok()?.chars().collect();
    let mut reader = Reader { text: &text, at: 0 };
    let value = reader.value(0)?;
    (reader.at == text.len() && matches!(value, Json::Object(_))).then_some(value)
}

struct Reader<'t> {
    text: &'t [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        self.at += 1;
        self.text.get(self.at - 1).copied()
    }

    fn white(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn is(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        word.chars().all(|letter| self.next() == Some(letter)).then_some(value)
    }

    /// A value with the white space on both sides.
    fn value(&mut self, depth: usize) -> Option<Json> {
        self.white();
        let value = match self.peek()? {
            'n' => self.word("null", Json::Null)?,
            't' => self.word("true", Json::Bool(true))?,
            'f' => self.word("false", Json::Bool(false))?,
            '"' => Json::String(self.string()?),
            '[' => self.array(depth + 1)?,
            '{' => self.object(depth + 1)?,
            _ => self.number()?,
        };
        self.white();
        Some(value)
    }

    fn array(&mut self, depth: usize) -> Option<Json> {
        self.at += 1;
        let mut elements = Vec::new();
        self.white();
        if depth > DEEPEST {
            return None;
        }
        if self.is(']') {
            return Some(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth)?);
            match self.next()? {
                ',' => (),
                ']' => return Some(Json::Array(elements)),
                _ => return None,
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        self.white();
        if depth > DEEPEST {
            return None;
        }
        if self.is('}') {
            return Some(Json::Object(members));
        }
        loop {
            self.white();
            let name = self.string()?;
            self.white();
            if !self.is(':') || members.iter().any(|(given, _)| *given == name) {
                return None;
            }
            members.push((name, self.value(depth)?));
            match self.next()? {
                ',' => (),
                '}' => return Some(Json::Object(members)),
                _ => return None,
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        if !self.is('"') {
            return None;
        }
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escape()?),
                control if control < ' ' => return None,
                other => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            same @ ('"' | '\\' | '/') => same,
            'u' => match self.hex()? {
                // a surrogate counts only with its other half
                high @ 0xd800..=0xdbff => {
                    let low = (self.next()? == '\\' && self.next()? == 'u').then(|| self.hex())??;
                    let low = (0xdc00..=0xdfff).contains(&low).then_some(low)?;
                    char::from_u32(0x10000 + (high - 0xd800) * 0x400 + (low - 0xdc00))?
                }
                unit => char::from_u32(unit)?,
            },
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |sum, _| Some(sum * 16 + self.next()?.to_digit(16)?))
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|digit| digit.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// RFC 8259 §6. One that no double can hold is refused, as its meaning would depend on the reader.
    fn number(&mut self) -> Option<Json> {
        let start = self.at;
        self.is('-');
        if !self.is('0') {
            self.digits()?;
        }
        if self.is('.') {
            self.digits()?;
        }
        if self.is('e') || self.is('E') {
            let _ = self.is('+') || self.is('-');
            self.digits()?;
        }
        let text: String = self.text[start..self.at].iter().collect();
        text.parse::<f64>().is_ok_and(f64::is_finite).then_some(Json::Number(text))
    }
}
