//! What JavaScript gives, as serde reads the library's settings of it: names are camelCase there, and an object has no
//! field that nobody asks for.

use std::fmt::{self, Display};

use js_sys::{Array, Object, Reflect};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor, value::StrDeserializer,
};
use wasm_bindgen::{JsCast, JsValue};

/// Whole numbers of JavaScript's up to it are exact: 2^53 - 1.
const MOST: f64 = 9_007_199_254_740_991.0;

/// A value, as plain objects and arrays without anything `undefined`: the package's JavaScript sees to it.
pub struct Given(pub JsValue);

/// What is wrong, and where. It is boxed, and made out of line: readers of many types have it on their way out, and what
/// is inlined in each is downloaded as often.
#[derive(Debug)]
pub struct Wrong(Box<Told>);

#[derive(Debug)]
struct Told {
    /// Names and places from the outermost, as `groups[1].k`.
    place: String,
    problem: String,
    /// What should be there, where the value is of another kind.
    expected: Option<&'static str>,
    /// The field that is not there.
    missing: Option<&'static str>,
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.place.is_empty() {
            write!(f, "`{}`: ", self.0.place)?;
        }
        f.write_str(&self.0.problem)
    }
}

impl std::error::Error for Wrong {}

impl Wrong {
    #[cold]
    #[inline(never)]
    pub fn new(problem: String) -> Self {
        Self(Box::new(Told { place: String::new(), problem, expected: None, missing: None }))
    }

    /// The outermost name of the place.
    pub fn name(&self) -> Option<&str> {
        self.0.place.split(['.', '[']).next().filter(|name| !name.is_empty())
    }

    /// What should be there, where the value is of another kind.
    pub fn expected(&self) -> Option<&'static str> {
        self.0.expected
    }

    /// The field that is not there.
    pub fn missing(&self) -> Option<&'static str> {
        self.0.missing
    }

    /// The same, in what has this name.
    #[cold]
    #[inline(never)]
    pub fn within(mut self, name: &str) -> Self {
        let dot = if self.0.place.is_empty() || self.0.place.starts_with('[') { "" } else { "." };
        self.0.place = format!("{name}{dot}{}", self.0.place);
        self
    }

    #[cold]
    #[inline(never)]
    fn expecting(mut self, expected: &'static str) -> Self {
        self.0.expected = Some(expected);
        self
    }
}

impl de::Error for Wrong {
    fn custom<T: Display>(problem: T) -> Self {
        Self::new(problem.to_string())
    }

    #[cold]
    #[inline(never)]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("invalid type: {found}, expected {expected}"))
    }

    #[cold]
    #[inline(never)]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("invalid value: {found}, expected {expected}"))
    }

    #[cold]
    #[inline(never)]
    fn invalid_length(found: usize, expected: &dyn de::Expected) -> Self {
        Self::new(format!("invalid length {found}, expected {expected}"))
    }

    #[cold]
    #[inline(never)]
    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        no_option(&camel(field))
    }

    #[cold]
    #[inline(never)]
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown variant `{variant}`, expected one of {}", list(expected)))
    }

    #[cold]
    #[inline(never)]
    fn missing_field(field: &'static str) -> Self {
        let mut wrong = Self::new(format!("missing field `{}`", camel(field)));
        wrong.0.missing = Some(field);
        wrong
    }

    #[cold]
    #[inline(never)]
    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("`{}` is there twice", camel(field)))
    }
}

/// Names of Rust's as JavaScript has them.
pub fn list(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{}`", camel(name))).collect();
    names.join(", ")
}

fn no_option(name: &str) -> Wrong {
    Wrong::new(format!("there is no option `{name}`"))
}

/// A name of Rust's as JavaScript has it.
pub fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

impl Given {
    fn is_object(&self) -> bool {
        self.0.is_object() && !Array::is_array(&self.0)
    }

    /// A field of an object; none where there is none.
    pub fn field(&self, name: &str) -> Option<JsValue> {
        let field = self.is_object().then(|| Reflect::get(&self.0, &name.into()).ok()).flatten();
        field.filter(|field| !field.is_undefined())
    }

    /// The elements of the array that a field is, none where there is no such field.
    pub fn items(&self, name: &str) -> Result<Vec<JsValue>, Wrong> {
        match self.field(name) {
            None => Ok(vec![]),
            Some(items) if Array::is_array(&items) => Ok(items.unchecked_into::<Array>().to_vec()),
            Some(other) => Err(Given(other).wrong(&"an array", "an array").within(name)),
        }
    }

    /// The names of an object's fields.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.is_object().then(|| entries(&self.0)).into_iter().flatten().map(|(name, _)| name)
    }

    /// The object without these fields.
    pub fn without(&self, names: &[&str]) -> JsValue {
        if !self.is_object() {
            return self.0.clone();
        }
        let rest = Object::new();
        for (name, value) in entries(&self.0).filter(|(name, _)| !names.contains(&name.as_str())) {
            set(&rest, &name, &value);
        }
        rest.into()
    }

    /// The object with the fields of another over its own.
    pub fn with(&self, over: &JsValue) -> JsValue {
        let both = Object::assign(&Object::new(), self.0.unchecked_ref());
        Object::assign(&both, over.unchecked_ref()).into()
    }

    /// That it is not what is expected; `hint` says in plain words what that is.
    #[cold]
    #[inline(never)]
    fn wrong(&self, expected: &dyn de::Expected, hint: &'static str) -> Wrong {
        let text = self.0.as_string();
        let found = match (self.0.as_f64(), self.0.as_bool(), &text) {
            (Some(number), ..) => Unexpected::Float(number),
            (_, Some(flag), _) => Unexpected::Bool(flag),
            (.., Some(text)) => Unexpected::Str(text),
            _ if self.0.is_null() || self.0.is_undefined() => Unexpected::Unit,
            _ if Array::is_array(&self.0) => Unexpected::Seq,
            _ if self.0.is_object() => Unexpected::Map,
            _ => Unexpected::Other("a value of another kind"),
        };
        <Wrong as de::Error>::invalid_type(found, expected).expecting(hint)
    }

    /// The whole number that it is, if it is one.
    pub fn whole(&self) -> Option<u64> {
        let number = self.0.as_f64()?;
        (number.fract() == 0.0 && (0.0..=MOST).contains(&number)).then_some(number as u64)
    }
}

fn entries(object: &JsValue) -> impl Iterator<Item = (String, JsValue)> {
    Object::entries(object.unchecked_ref()).into_iter().map(|entry| {
        let entry: Array = entry.unchecked_into();
        (entry.get(0).as_string().unwrap_or_default(), entry.get(1))
    })
}

fn set(object: &Object, name: &str, value: &JsValue) {
    // An object made here is not frozen.
    let _ = Reflect::set(object, &name.into(), value);
}

impl<'de> Deserializer<'de> for Given {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if let Some(number) = self.0.as_f64() {
            visitor.visit_f64(number)
        } else if let Some(flag) = self.0.as_bool() {
            visitor.visit_bool(flag)
        } else if let Some(text) = self.0.as_string() {
            visitor.visit_string(text)
        } else if self.0.is_null() || self.0.is_undefined() {
            visitor.visit_unit()
        } else if Array::is_array(&self.0) {
            visitor.visit_seq(Items::new(self.0.unchecked_into()))
        } else if self.0.is_object() {
            // Whose fields they are is not known here: names in Rust's form are found by the letters.
            visitor.visit_map(Fields::new(&self.0, &[])?)
        } else {
            Err(self.wrong(&visitor, "something else"))
        }
    }

    #[inline(never)]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0.as_bool() {
            Some(flag) => visitor.visit_bool(flag),
            None => Err(self.wrong(&visitor, "true or false")),
        }
    }

    #[inline(never)]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0.as_f64() {
            Some(number) => visitor.visit_f64(number),
            None => Err(self.wrong(&visitor, "a number")),
        }
    }

    #[inline(never)]
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.whole() {
            Some(number) => visitor.visit_u64(number),
            None => Err(self.wrong(&visitor, "a whole number")),
        }
    }

    #[inline(never)]
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.whole() {
            Some(number) => visitor.visit_u64(number),
            None => Err(self.wrong(&visitor, "a whole number")),
        }
    }

    #[inline(never)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0.as_string() {
            Some(text) => visitor.visit_string(text),
            None => Err(self.wrong(&visitor, "a text")),
        }
    }

    #[inline(never)]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.is_null() || self.0.is_undefined() {
            return visitor.visit_none();
        }
        visitor.visit_some(self).map_err(|wrong| match wrong.expected() {
            Some("a number") => wrong.expecting("a number or null"),
            _ => wrong,
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match Array::is_array(&self.0) {
            true => visitor.visit_seq(Items::new(self.0.unchecked_into())),
            false => Err(self.wrong(&visitor, "an array")),
        }
    }

    #[inline(never)]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Wrong> {
        const HINT: &str = "two numbers, as in [0.9, 0.999]";
        if !Array::is_array(&self.0) {
            return Err(self.wrong(&visitor, HINT));
        }
        let items: Array = self.0.unchecked_into();
        let found = items.length() as usize;
        let read = match found == len {
            true => visitor.visit_seq(Items::new(items)),
            false => Err(de::Error::invalid_length(found, &visitor)),
        };
        read.map_err(|wrong: Wrong| wrong.expecting(HINT))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.is_object() {
            true => visitor.visit_map(Fields::new(&self.0, fields)?),
            false => Err(self.wrong(&visitor, "an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let chosen = match self.0.as_string() {
            Some(name) => Some((name, JsValue::UNDEFINED)),
            // Of an object of one field its name is the variant's.
            None if self.is_object() => {
                let mut fields = entries(&self.0);
                fields.next().filter(|_| fields.next().is_none())
            }
            None => None,
        };
        let Some((name, content)) = chosen else {
            return Err(self.wrong(&format!("one of {}", list(variants)).as_str(), "one of these"));
        };
        let known = variants.iter().find(|variant| camel(variant) == name);
        let variant = known.map_or(name.clone(), |variant| (*variant).to_owned());
        visitor.visit_enum(Choice { name, variant, content: Given(content) })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 char str bytes byte_buf unit unit_struct tuple_struct map
    }
}

/// An array's elements.
struct Items {
    items: Array,
    next: u32,
}

impl Items {
    fn new(items: Array) -> Self {
        Self { items, next: 0 }
    }
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Wrong;

    #[inline(never)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let at = self.next;
        if at == self.items.length() {
            return Ok(None);
        }
        self.next += 1;
        seed.deserialize(Given(self.items.get(at)))
            .map(Some)
            .map_err(|wrong| wrong.within(&format!("[{at}]")))
    }
}

/// An object's fields: the name as Rust has it, as JavaScript has it, and the value.
struct Fields {
    left: std::vec::IntoIter<(String, String, JsValue)>,
    at: Option<(String, String, JsValue)>,
}

impl Fields {
    /// `known` are the fields' names in Rust; none where they are not known.
    #[inline(never)]
    fn new(object: &JsValue, known: &[&str]) -> Result<Self, Wrong> {
        let field = |(name, value): (String, JsValue)| {
            let rust = match known.iter().find(|known| camel(known) == name) {
                Some(known) => (*known).to_owned(),
                None if known.is_empty() && !name.contains('_') => snake(&name),
                None => return Err(no_option(&name)),
            };
            Ok((rust, name, value))
        };
        let left: Vec<_> = entries(object).map(field).collect::<Result<_, _>>()?;
        Ok(Self { left: left.into_iter(), at: None })
    }
}

impl Fields {
    /// The next field's name; its value is the next to be asked for.
    #[inline(never)]
    fn next(&mut self) -> Option<&str> {
        self.at = self.left.next();
        self.at.as_ref().map(|(rust, ..)| rust.as_str())
    }
}

/// A name of JavaScript's as Rust has it.
fn snake(name: &str) -> String {
    let letter = |letter: char| match letter.is_ascii_uppercase() {
        true => format!("_{}", letter.to_ascii_lowercase()),
        false => letter.to_string(),
    };
    name.chars().map(letter).collect()
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        match self.next() {
            Some(name) => seed.deserialize(StrDeserializer::new(name)).map(Some),
            None => Ok(None),
        }
    }

    #[inline(never)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (_, name, value) = self.at.take().unwrap_or_default();
        seed.deserialize(Given(value)).map_err(|wrong| wrong.within(&name))
    }
}

/// A variant and what is in it.
struct Choice {
    name: String,
    variant: String,
    content: Given,
}

impl<'de> EnumAccess<'de> for Choice {
    type Error = Wrong;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content), Wrong> {
        let value = seed.deserialize(StrDeserializer::new(&self.variant))?;
        Ok((value, Content { name: self.name, content: self.content }))
    }
}

struct Content {
    name: String,
    content: Given,
}

impl<'de> VariantAccess<'de> for Content {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match self.content.0.is_undefined() {
            true => Ok(()),
            false => Err(Wrong::new(format!("`{}` takes nothing: write it as a text", self.name))),
        }
    }

    #[inline(never)]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        let Self { name, content } = self;
        seed.deserialize(content).map_err(|wrong| wrong.within(&name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Wrong> {
        let Self { name, content } = self;
        content.deserialize_tuple(len, visitor).map_err(|wrong| wrong.within(&name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let Self { name, content } = self;
        content.deserialize_struct("", fields, visitor).map_err(|wrong| wrong.within(&name))
    }
}
