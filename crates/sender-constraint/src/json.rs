//! JSON objects as RFC 8259 would have them be: each member once, not too deep.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A JSON object: the claims of a token, a key, a document of the authorization server.
pub type Object = Map<String, Value>;

/// How deep objects and arrays may lie in each other. Claims are flat or nearly so; a token that is not is an attempt.
pub const MAX_DEPTH: u8 = 32;

/// Why octets are not a JSON object that can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Not JSON at all, not UTF-8, not an object, or followed by something else.
    #[error("not a JSON object")]
    NotAnObject,
    /// RFC 7515 §4, RFC 7519 §4: member names must be unique. Two readers of such an object may see two different ones.
    #[error("a JSON member occurs twice")]
    DuplicateMember,
    /// Deeper than [`MAX_DEPTH`].
    #[error("JSON is nested too deep")]
    TooDeep,
}

/// Reads one JSON object and nothing after it.
///
/// # Errors
///
/// [`JsonFault`]. Members that occur twice are refused at every depth: serde_json would silently keep the last.
pub fn parse_object(octets: &[u8]) -> Result<Object, JsonFault> {
    let fault = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(octets);
    let value = Strict { depth: MAX_DEPTH, fault: &fault }
        .deserialize(&mut reader)
        .map_err(|_| fault.get().unwrap_or(JsonFault::NotAnObject))?;
    reader.end().map_err(|_| JsonFault::NotAnObject)?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(JsonFault::NotAnObject),
    }
}

/// One value, with what is left of the allowed depth. `fault` says why reading stopped, which serde's error cannot.
#[derive(Clone, Copy)]
struct Strict<'f> {
    depth: u8,
    fault: &'f Cell<Option<JsonFault>>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(self.refuse(JsonFault::TooDeep)),
        }
    }

    fn refuse<E: serde::de::Error>(self, fault: JsonFault) -> E {
        self.fault.set(Some(fault));
        E::custom(fault)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(self.refuse(JsonFault::DuplicateMember));
            }
        }
        Ok(Value::Object(object))
    }
}

/// The string member `name`, if the object has it and it is a string.
#[must_use]
pub fn string<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_member_given_twice_is_refused_at_any_depth() {
        assert_eq!(parse_object(br#"{"sub":"joe","sub":"admin"}"#), Err(JsonFault::DuplicateMember));
        assert_eq!(parse_object(br#"{"a":[{"b":1,"b":1}]}"#), Err(JsonFault::DuplicateMember));
        // the same name once more, spelt with an escape
        assert_eq!(
            parse_object(b"{\"sub\":\"joe\",\"s\\u0075b\":\"admin\"}"),
            Err(JsonFault::DuplicateMember)
        );
        assert!(parse_object(br#"{"a":{"b":1},"c":{"b":1}}"#).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let nested =
            |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
        assert!(parse_object(&nested(usize::from(MAX_DEPTH) - 1)).is_ok());
        assert_eq!(parse_object(&nested(usize::from(MAX_DEPTH))), Err(JsonFault::TooDeep));
        assert_eq!(parse_object(&nested(100_000)), Err(JsonFault::TooDeep));
    }

    #[test]
    fn only_one_whole_object() {
        for text in
            ["", "1", "[]", "null", "\"a\"", "{", "{}{}", "{} x", "{\"a\":1,}", "{'a':1}", "{\"a\":1e999}"]
        {
            assert_eq!(parse_object(text.as_bytes()), Err(JsonFault::NotAnObject), "{text}");
        }
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), Err(JsonFault::NotAnObject));
        assert_eq!(parse_object(b" {} \n"), Ok(Object::new()));
    }

    /// Found by fuzzing: without `float_roundtrip`, serde_json is off by one unit in the last place now and then.
    #[test]
    fn a_real_number_is_the_nearest_double_and_stays_it() {
        for text in
            ["123456789012345678901234567890", "1234789012345678901234567890", "1.7976931348623157e308"]
        {
            let claims = parse_object(format!("{{\"a\":{text}}}").as_bytes()).unwrap();
            assert_eq!(claims["a"].as_f64(), text.parse().ok());
            let again = parse_object(&serde_json::to_vec(&claims).unwrap()).unwrap();
            assert_eq!(again, claims);
        }
    }

    proptest! {
        #[test]
        fn never_panics(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_object(&octets);
        }

        #[test]
        fn agrees_with_serde_json(name in "[a-z]{1,5}", integer: i64, quarters: i32, text in ".{0,20}") {
            let value = serde_json::json!({ name: integer, "REAL": f64::from(quarters) / 4.0, "TEXT": text, "ARRAY": [null, true, {}] });
            prop_assert_eq!(Value::Object(parse_object(value.to_string().as_bytes()).unwrap()), value);
        }
    }
}
