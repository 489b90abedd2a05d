//! The grammar of RFC 8471 §3, one function for each structure, on copies of the octets.

/// A `TokenBinding`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// `tokenbinding_type`
    pub kind: u8,
    /// Octets of the `TokenBindingID`.
    pub id: Vec<u8>,
    /// `key_parameters`
    pub key_parameters: u8,
    /// The key.
    pub key: Key,
    /// `signature`
    pub signature: Vec<u8>,
    /// `extensions`: type and data.
    pub extensions: Vec<(u8, Vec<u8>)>,
}

/// `select (key_parameters)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// `RSAPublicKey`: modulus, publicexponent.
    Rsa(Vec<u8>, Vec<u8>),
    /// `TB_ECPoint`.
    Point(Vec<u8>),
    /// Key parameters that no RFC names.
    Other(Vec<u8>),
}

/// Octets that are taken from the front.
struct Octets(std::collections::VecDeque<u8>);

impl Octets {
    fn of(octets: &[u8]) -> Self {
        Self(octets.iter().copied().collect())
    }

    fn uint(&mut self, length: usize) -> Option<usize> {
        let mut value = 0;
        for _ in 0..length {
            value = value * 256 + usize::from(self.0.pop_front()?);
        }
        Some(value)
    }

    fn opaque(&mut self, length: usize) -> Option<Vec<u8>> {
        (0..length).map(|_| self.0.pop_front()).collect()
    }

    /// `opaque name<floor..ceiling>`: the length has as many octets as the ceiling needs.
    fn vector(&mut self, floor: usize, ceiling: usize) -> Option<Vec<u8>> {
        let length = self.uint(if ceiling < 256 { 1 } else { 2 })?;
        if length < floor || length > ceiling {
            return None;
        }
        self.opaque(length)
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

const UINT8: usize = (1 << 8) - 1;
const UINT16: usize = (1 << 16) - 1;

/// `struct { TokenBinding tokenbindings<132..2^16-1>; } TokenBindingMessage;`
pub fn parse(message: &[u8]) -> Option<Vec<Binding>> {
    let mut message = Octets::of(message);
    let mut list = Octets::of(&message.vector(132, UINT16)?);
    if !message.is_over() {
        return None;
    }
    let mut bindings = Vec::new();
    while !list.is_over() {
        bindings.push(binding(&mut list)?);
    }
    Some(bindings)
}

fn binding(list: &mut Octets) -> Option<Binding> {
    let kind = list.uint(1)? as u8;
    let key_parameters = list.uint(1)? as u8;
    let key_length = list.uint(2)?;
    let key_octets = list.opaque(key_length)?;
    let id =
        [&[key_parameters, (key_length / 256) as u8, (key_length % 256) as u8][..], &key_octets].concat();
    let key = key(key_parameters, &key_octets)?;
    let signature = list.vector(64, UINT16)?;
    let extensions = extensions(&list.vector(0, UINT16)?)?;
    Some(Binding { kind, id, key_parameters, key, signature, extensions })
}

fn key(key_parameters: u8, octets: &[u8]) -> Option<Key> {
    let mut key = Octets::of(octets);
    let found = match key_parameters {
        // rsa2048_pkcs1.5(0), rsa2048_pss(1)
        0 | 1 => Key::Rsa(key.vector(1, UINT16)?, key.vector(1, UINT8)?),
        // ecdsap256(2)
        2 => Key::Point(key.vector(1, UINT8)?),
        _ => return Some(Key::Other(octets.to_vec())),
    };
    key.is_over().then_some(found)
}

fn extensions(octets: &[u8]) -> Option<Vec<(u8, Vec<u8>)>> {
    let (mut list, mut extensions) = (Octets::of(octets), Vec::new());
    while !list.is_over() {
        extensions.push((list.uint(1)? as u8, list.vector(0, UINT16)?));
    }
    Some(extensions)
}
