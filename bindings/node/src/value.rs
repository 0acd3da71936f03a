//! A JavaScript value as plain data: read once, on the JavaScript thread, and understood without a runtime.

use napi::bindgen_prelude::{Array, ArrayBuffer, BigInt, Buffer, JsValue, Object, Result, Unknown};
use napi::{Error, Status, ValueType};

/// What options are made of. A property that is `undefined` is not there.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Integer(i128),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
    /// Nothing that an option can be: a function, a symbol.
    Other(&'static str),
}

/// Deeper than any option; an object that holds itself ends here.
const DEEPEST: usize = 16;

impl Value {
    /// What it is, for somebody who expected something else.
    pub(crate) fn kind(&self) -> String {
        match self {
            Value::Null => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => format!("the number {value}"),
            Value::Integer(value) => format!("the bigint {value}"),
            Value::Text(text) => format!("the string {text:?}"),
            Value::Bytes(_) => "bytes".into(),
            Value::List(_) => "an array".into(),
            Value::Object(_) => "an object".into(),
            Value::Other(kind) => (*kind).into(),
        }
    }

    pub(crate) fn read(object: &Object<'_>) -> Result<Value> {
        read_object(object, 0)
    }
}

fn read_object(object: &Object<'_>, depth: usize) -> Result<Value> {
    if depth > DEEPEST {
        return Err(Error::new(Status::InvalidArg, "options are nested too deeply, or hold themselves"));
    }
    let mut properties = Vec::new();
    for key in Object::keys(object)? {
        let Some(kind) = object.get::<Unknown<'_>>(&key)? else { continue };
        let read = Place { kind, get: Get::Property(object, &key) }.read(depth)?;
        properties.push((key, read));
    }
    Ok(Value::Object(properties))
}

fn read_list(list: &Array<'_>, depth: usize) -> Result<Value> {
    if depth > DEEPEST {
        return Err(Error::new(Status::InvalidArg, "options are nested too deeply, or hold themselves"));
    }
    let mut items = Vec::with_capacity(list.len() as usize);
    for index in 0..list.len() {
        items.push(match list.get::<Unknown<'_>>(index)? {
            Some(kind) => Place { kind, get: Get::Element(list, index) }.read(depth)?,
            None => Value::Other("undefined"),
        });
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
    fn get<T: napi::bindgen_prelude::FromNapiValue>(&self) -> Result<T> {
        let got = match &self.get {
            Get::Property(object, key) => object.get::<T>(key)?,
            Get::Element(list, index) => list.get::<T>(*index)?,
        };
        got.ok_or_else(|| Error::new(Status::InvalidArg, "an option changed while it was read"))
    }

    fn read(&self, depth: usize) -> Result<Value> {
        Ok(match self.kind.get_type()? {
            ValueType::Undefined => Value::Other("undefined"),
            ValueType::Null => Value::Null,
            ValueType::Boolean => Value::Bool(self.get()?),
            ValueType::Number => Value::Number(self.get()?),
            ValueType::String => Value::Text(self.get()?),
            ValueType::BigInt => {
                let (value, lossless) = self.get::<BigInt>()?.get_i128();
                if lossless { Value::Integer(value) } else { Value::Other("a bigint of more than 128 bits") }
            }
            ValueType::Object if self.kind.is_array()? => read_list(&self.get()?, depth + 1)?,
            ValueType::Object if self.kind.is_arraybuffer()? => Value::Bytes(self.get::<ArrayBuffer<'_>>()?.to_vec()),
            ValueType::Object if self.kind.is_buffer()? => Value::Bytes(self.get::<Buffer>()?.to_vec()),
            ValueType::Object => read_object(&self.get()?, depth + 1)?,
            ValueType::Function => Value::Other("a function"),
            ValueType::Symbol => Value::Other("a symbol"),
            _ => Value::Other("something of the runtime's own"),
        })
    }
}
