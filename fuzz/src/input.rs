//! The fuzzer's octets as a series of choices. Where they end, every choice is the first one.

/// What is left of the input.
pub struct Choices<'d>(&'d [u8]);

impl<'d> Choices<'d> {
    /// All of an input.
    pub const fn new(data: &'d [u8]) -> Self {
        Self(data)
    }

    /// The next octet.
    pub fn octet(&mut self) -> u8 {
        let Some((&octet, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        octet
    }

    /// The next two octets, as a number.
    pub fn number(&mut self) -> usize {
        usize::from(self.octet()) << 8 | usize::from(self.octet())
    }

    /// A number below `limit`, which is at most 256.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.octet()) % limit
    }

    /// One of these.
    pub fn one<'o, T>(&mut self, of: &'o [T]) -> &'o T {
        &of[self.below(of.len())]
    }

    /// Yes in one of `of` cases.
    pub fn rarely(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    /// As many octets as the next octet says, or what there is.
    pub fn some(&mut self) -> &'d [u8] {
        let length = usize::from(self.octet()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// The same as a text.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.some()).into_owned()
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'d [u8] {
        std::mem::take(&mut self.0)
    }

    /// One small change to some octets, or none.
    pub fn change(&mut self, octets: &mut Vec<u8>) {
        let at = if octets.is_empty() { 0 } else { self.number() % octets.len() };
        match self.below(8) {
            1 if !octets.is_empty() => octets[at] ^= 1 << self.below(8),
            2 if !octets.is_empty() => octets[at] = self.octet(),
            3 if !octets.is_empty() => drop(octets.remove(at)),
            4 => octets.insert(at, self.octet()),
            5 => octets.truncate(at),
            6 => octets.extend(self.some()),
            7 if !octets.is_empty() => {
                let moved = octets.split_off(at);
                octets.splice(0..0, moved);
            }
            _ => (),
        }
    }
}
