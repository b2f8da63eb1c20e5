//! Floating-point numbers as JSON texts that give the same bits back. JSON's own numbers have no infinities and no
//! NaN, and readers differ in the last bit.

/// A NaN is this and its bits in hexadecimal.
const NAN: &str = "NaN ";

fn text64(value: f64) -> String {
    if value.is_nan() { format!("{NAN}{:016x}", value.to_bits()) } else { format!("{value:?}") }
}

fn parse64(text: &str) -> Result<f64, String> {
    let value = match text.strip_prefix(NAN) {
        Some(bits) => u64::from_str_radix(bits, 16).ok().map(f64::from_bits),
        None => text.parse().ok(),
    };
    value.ok_or_else(|| format!("`{text}` is no number"))
}

fn text32(value: f32) -> String {
    if value.is_nan() { format!("{NAN}{:08x}", value.to_bits()) } else { format!("{value:?}") }
}

fn parse32(text: &str) -> Result<f32, String> {
    let value = match text.strip_prefix(NAN) {
        Some(bits) => u32::from_str_radix(bits, 16).ok().map(f32::from_bits),
        None => text.parse().ok(),
    };
    value.ok_or_else(|| format!("`{text}` is no number"))
}

pub mod float64 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text64(*value))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        super::parse64(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

pub mod float32 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text32(*value))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
        super::parse32(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A number or `null`.
pub mod maybe {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(super::text64).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse64(&text)).transpose().map_err(D::Error::custom)
    }
}
