//! From values to nouns: a deserializer that knows where it is.

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use crate::{Duration, Field, Part, Value, Why, Wrong, snake};

/// How the keys of objects are spelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Spelling {
    /// `read_only`, as in TOML and JSON.
    #[default]
    Snake,
    /// `readOnly`; the other is taken as well. It is JavaScript's, which has one type for all numbers, and whose times are milliseconds.
    Camel,
}

pub(crate) struct At<'a> {
    pub(crate) value: &'a Value,
    pub(crate) spelling: Spelling,
}

impl<'a> At<'a> {
    fn of<'b>(&self, value: &'b Value) -> At<'b> {
        At { value, spelling: self.spelling }
    }

    fn entries<'de, V: Visitor<'de>>(
        &self,
        entries: &'a [(String, Value)],
        spell: impl Fn(&str) -> String,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        // As if they were left out.
        let given = entries.iter().filter(|(_, value)| *value != Value::Null);
        visitor.visit_map(Entries { at: self, rest: given, spell, value: None })
    }
}

/// Where a number has no type but being one, one that is not whole is out of range. So is one of more than 64 bits.
macro_rules! whole_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match (self.value, self.spelling) {
                (Value::Float(number), Spelling::Camel) => {
                    Err(de::Error::invalid_value(de::Unexpected::Float(*number), &visitor))
                }
                (Value::Integer(number), _) if u64::try_from(*number).is_err() && i64::try_from(*number).is_err() => {
                    Err(de::Error::invalid_value(de::Unexpected::Other(&number.to_string()), &visitor))
                }
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for At<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(number) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => visitor.visit_i128(*number),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_str(text),
            Value::Bytes(bytes) => visitor.visit_bytes(bytes),
            Value::List(items) => visitor.visit_seq(Items { at: &self, rest: items.iter().enumerate() }),
            Value::Object(entries) => self.entries(entries, str::to_owned, visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match (self.value, self.spelling) {
            // Only here are the keys ours: those of a map are its owner's.
            (Value::Object(entries), Spelling::Camel) => self.entries(entries, snake, visitor),
            (Value::List(_), _) => Err(de::Error::invalid_type(de::Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.value {
            Value::Text(text) => {
                let word: StrDeserializer<'_, Wrong> = text.as_str().into_deserializer();
                visitor.visit_enum(word)
            }
            other => {
                let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                let expected = words.join(", ");
                Err(Wrong::new(Field::whole(), Why::Type { found: other.kind(), expected }))
            }
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        const EXPECTED: &str = "a number of milliseconds, or a string such as \"500ms\" or \"10s\"";
        if (name, self.spelling) != (Duration::NAME, Spelling::Camel) {
            return visitor.visit_newtype_struct(self);
        }
        let seconds = match self.value {
            Value::Text(_) => return visitor.visit_newtype_struct(self),
            Value::Integer(number) => Value::Float(*number as f64 / 1e3),
            // No clock counts further.
            Value::Float(number) if number.abs() < 1e15 => Value::Float(number / 1e3),
            Value::Float(number) => {
                return Err(Wrong::range(Field::whole(), format!("{number}; it can be {EXPECTED}")));
            }
            other => {
                return Err(Wrong::new(Field::whole(), Why::Type { found: other.kind(), expected: EXPECTED.into() }));
            }
        };
        visitor.visit_newtype_struct(self.of(&seconds))
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items<'a, 'b, I> {
    at: &'b At<'a>,
    rest: I,
}

impl<'de, 'a, I: Iterator<Item = (usize, &'a Value)>> SeqAccess<'de> for Items<'a, '_, I> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some((index, value)) = self.rest.next() else { return Ok(None) };
        seed.deserialize(self.at.of(value)).map(Some).map_err(|wrong| wrong.below(Part::Index(index)))
    }
}

struct Entries<'a, 'b, I, S> {
    at: &'b At<'a>,
    rest: I,
    spell: S,
    value: Option<(&'a str, &'a Value)>,
}

impl<'de, 'a, I, S> MapAccess<'de> for Entries<'a, '_, I, S>
where
    I: Iterator<Item = &'a (String, Value)>,
    S: Fn(&str) -> String,
{
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some((key, value));
        let spelled: StringDeserializer<Wrong> = (self.spell)(key).into_deserializer();
        seed.deserialize(spelled).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (key, value) = self.value.take().unwrap_or(("", &Value::Null));
        let part = || Part::Key((self.spell)(key));
        seed.deserialize(self.at.of(value)).map_err(|wrong| wrong.below(part()))
    }
}
