//! A JavaScript value as plain data: read once, on the JavaScript thread, and understood without a runtime.

use napi::bindgen_prelude::{Array, ArrayBuffer, BigInt, Buffer, FromNapiValue, JsValue, Object, Unknown};
use napi::{Error, Status, ValueType};
use seclude::request::{Field, MOST_DEPTH, Part, Value};

use crate::options::Wrong;

/// Above it, not every whole number is a `number`.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// Why a value is no data.
pub(crate) enum Refused {
    /// What the runtime has answered, or thrown.
    Runtime(Error),
    /// What it is, and where; the innermost part first.
    Kind(Vec<Part>, &'static str),
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
            runtime => runtime,
        }
    }

    /// What is wrong, if it is not the runtime's.
    pub(crate) fn wrong(self) -> Result<Wrong, Error> {
        match self {
            Refused::Runtime(error) => Err(error),
            Refused::Kind(parts, kind) => {
                let field = parts.into_iter().rev().fold(Field::whole(), |field, part| match part {
                    Part::Key(key) => field.key(key),
                    Part::Index(index) => field.index(index),
                });
                Ok(Wrong::Type(format!("{field} is {kind}; it can be left out, or data of a key's own type")))
            }
        }
    }
}

/// What is in an object. A property that is `undefined` is not there.
pub(crate) fn read(object: &Object<'_>) -> Read<Value> {
    read_object(object, MOST_DEPTH + 2)
}

fn deeper(left: usize) -> Read<usize> {
    left.checked_sub(1).ok_or(Refused::Kind(Vec::new(), "nested too deeply, or holds itself"))
}

fn read_object(object: &Object<'_>, left: usize) -> Read<Value> {
    let left = deeper(left)?;
    let mut properties = Vec::new();
    for key in Object::keys(object)? {
        let Some(kind) = object.get::<Unknown<'_>>(&key)? else { continue };
        let read = Place { kind, get: Get::Property(object, &key) }.read(left);
        let read = read.map_err(|refused| refused.below(|| Part::Key(key.clone())))?;
        properties.push((key, read));
    }
    Ok(Value::Object(properties))
}

fn read_list(list: &Array<'_>, left: usize) -> Read<Value> {
    let left = deeper(left)?;
    let mut items = Vec::with_capacity(list.len() as usize);
    for index in 0..list.len() {
        let read = match list.get::<Unknown<'_>>(index)? {
            Some(kind) => Place { kind, get: Get::Element(list, index) }.read(left),
            None => Err(Refused::Kind(Vec::new(), "undefined")),
        };
        items.push(read.map_err(|refused| refused.below(|| Part::Index(index as usize)))?);
    }
    Ok(Value::List(items))
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

    fn read(&self, left: usize) -> Read<Value> {
        let no_data = |kind| Err(Refused::Kind(Vec::new(), kind));
        Ok(match self.kind.get_type()? {
            ValueType::Boolean => Value::Bool(self.get()?),
            ValueType::Number => number(self.get()?),
            ValueType::String => Value::Text(self.get()?),
            ValueType::BigInt => match self.get::<BigInt>()?.get_i128() {
                (value, true) => Value::Integer(value),
                (_, false) => return no_data("a bigint of more than 128 bits"),
            },
            ValueType::Object if self.kind.is_array()? => read_list(&self.get()?, left)?,
            ValueType::Object if self.kind.is_arraybuffer()? => Value::Bytes(self.get::<ArrayBuffer<'_>>()?.to_vec()),
            ValueType::Object if self.kind.is_buffer()? => Value::Bytes(self.get::<Buffer>()?.to_vec()),
            ValueType::Object => read_object(&self.get()?, left)?,
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
