//! A JavaScript value as plain data: read once, on the JavaScript thread, and understood without a runtime.

use napi::bindgen_prelude::{
    Array, ArrayBuffer, BigInt, Buffer, FromNapiValue, JsObjectValue, JsValue, Object, Unknown,
};
use napi::{Error, KeyCollectionMode, KeyConversion, KeyFilter, Status, ValueType};
use seclude::request::{Field, MOST_DEPTH, Part, Value};

use crate::options::Wrong;

/// Above it, not every whole number is a `number`.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// How many values there may be, counted as often as they are reached; lib/plain.js has it too.
const MOST_VALUES: usize = 1 << 18;

/// Why a value is no data.
pub(crate) enum Refused {
    /// What the runtime has answered, or thrown.
    Runtime(Error),
    /// What it is, and where; the innermost part first.
    Kind(Vec<Part>, &'static str),
    /// There is more of it than anybody means.
    Many,
}

type Read<T> = Result<T, Refused>;

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Runtime(error)
    }
}

impl Refused {
    fn below(self, part: impl FnOnce() -> Part) -> Refused {
        match self {
            Refused::Kind(mut parts, kind) => {
                parts.push(part());
                Refused::Kind(parts, kind)
            }
            other => other,
        }
    }

    /// What is wrong, if it is not the runtime's.
    pub(crate) fn wrong(self) -> Result<Wrong, Error> {
        match self {
            Refused::Runtime(error) => Err(error),
            Refused::Many => Ok(Wrong::range_of(&"", format!("the options have more than {MOST_VALUES} values"))),
            Refused::Kind(parts, kind) => {
                let field = parts.into_iter().rev().fold(Field::whole(), |field, part| match part {
                    Part::Key(key) => field.key(key),
                    Part::Index(index) => field.index(index),
                });
                Ok(Wrong::type_of(
                    &field,
                    format!("{field} is {kind}; it can be left out, or data of a key's own type"),
                ))
            }
        }
    }
}

/// What is in an object. A property that is `undefined` is not there.
pub(crate) fn read(object: &Object<'_>) -> Read<Value> {
    read_object(object, &mut Room { depth: MOST_DEPTH + 2, values: MOST_VALUES })
}

/// What there may be yet.
struct Room {
    depth: usize,
    values: usize,
}

impl Room {
    fn take(&mut self) -> Read<()> {
        self.values = self.values.checked_sub(1).ok_or(Refused::Many)?;
        Ok(())
    }

    /// What is read one level deeper.
    fn below<T>(&mut self, read: impl FnOnce(&mut Room) -> Read<T>) -> Read<T> {
        let too_deep = Refused::Kind(Vec::new(), "nested too deeply, or holds itself");
        self.depth = self.depth.checked_sub(1).ok_or(too_deep)?;
        let read = read(self);
        self.depth += 1;
        read
    }
}

/// Its own keys: what somebody has put into `Object.prototype` is not meant by it.
fn own_keys(object: &Object<'_>) -> napi::Result<Vec<String>> {
    let names = object.get_all_property_names(
        KeyCollectionMode::OwnOnly,
        KeyFilter::SkipSymbols,
        KeyConversion::NumbersToStrings,
    )?;
    (0..names.get_array_length()?).map(|index| names.get_element(index)).collect()
}

fn read_object(object: &Object<'_>, room: &mut Room) -> Read<Value> {
    room.below(|room| {
        let mut properties = Vec::new();
        for key in own_keys(object)? {
            let Some(kind) = object.get::<Unknown<'_>>(&key)? else { continue };
            let read = Place { kind, get: Get::Property(object, &key) }.read(room);
            let read = read.map_err(|refused| refused.below(|| Part::Key(key.clone())))?;
            properties.push((key, read));
        }
        Ok(Value::Object(properties))
    })
}

fn read_list(list: &Array<'_>, room: &mut Room) -> Read<Value> {
    room.below(|room| {
        let mut items = Vec::new();
        for index in 0..list.len() {
            let read = match list.get::<Unknown<'_>>(index)? {
                Some(kind) => Place { kind, get: Get::Element(list, index) }.read(room),
                None => Err(Refused::Kind(Vec::new(), "undefined")),
            };
            items.push(read.map_err(|refused| refused.below(|| Part::Index(index as usize)))?);
        }
        Ok(Value::List(items))
    })
}

/// A value and where it was found: only by reading it again from there, as the type that it has, is it converted with
/// the runtime's own check of that type.
struct Place<'a, 'env> {
    kind: Unknown<'env>,
    get: Get<'a, 'env>,
}

enum Get<'a, 'env> {
    Property(&'a Object<'env>, &'a str),
    Element(&'a Array<'env>, u32),
}

impl Place<'_, '_> {
    fn get<T: FromNapiValue>(&self) -> napi::Result<T> {
        let got = match &self.get {
            Get::Property(object, key) => object.get::<T>(key)?,
            Get::Element(list, index) => list.get::<T>(*index)?,
        };
        got.ok_or_else(|| Error::new(Status::InvalidArg, "an option changed while it was read"))
    }

    fn read(&self, room: &mut Room) -> Read<Value> {
        room.take()?;
        let no_data = |kind| Err(Refused::Kind(Vec::new(), kind));
        Ok(match self.kind.get_type()? {
            ValueType::Boolean => Value::Bool(self.get()?),
            ValueType::Number => number(self.get()?),
            ValueType::String => Value::Text(self.get()?),
            ValueType::BigInt => match self.get::<BigInt>()?.get_i128() {
                (value, true) => Value::Integer(value),
                (_, false) => return no_data("a bigint of more than 128 bits"),
            },
            ValueType::Object if self.kind.is_array()? => read_list(&self.get()?, room)?,
            ValueType::Object if self.kind.is_arraybuffer()? => Value::Bytes(self.get::<ArrayBuffer<'_>>()?.to_vec()),
            ValueType::Object if self.kind.is_buffer()? => Value::Bytes(self.get::<Buffer>()?.to_vec()),
            ValueType::Object => read_object(&self.get()?, room)?,
            // Somebody had something in mind for it.
            ValueType::Null => return no_data("null"),
            ValueType::Undefined => return no_data("undefined"),
            ValueType::Function => return no_data("a function"),
            ValueType::Symbol => return no_data("a symbol"),
            _ => return no_data("something of the runtime's own"),
        })
    }
}

fn number(number: f64) -> Value {
    match number.fract() == 0.0 && number.abs() <= SAFE {
        true => Value::Integer(number as i128),
        false => Value::Float(number),
    }
}
