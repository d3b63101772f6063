//! Little-endian reads and writes that cannot panic.

/// Reads little-endian numbers from the front of a slice. Past the end it reads zero and remembers
/// that it did, so that one check at the end covers every field.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    short: bool,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            short: false,
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        if let Some((head, tail)) = self.rest.split_first_chunk::<N>() {
            self.rest = tail;
            *head
        } else {
            self.short = true;
            self.rest = &[];
            [0; N]
        }
    }

    pub(crate) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub(crate) fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.array())
    }

    /// Whether every read so far was inside the slice.
    pub(crate) const fn complete(&self) -> bool {
        !self.short
    }
}

/// Writes little-endian numbers to the front of a slice. Past the end it writes nothing and
/// remembers that it did.
pub(crate) struct Writer<'a> {
    bytes: &'a mut [u8],
    written: usize,
    short: bool,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(bytes: &'a mut [u8]) -> Self {
        Self {
            bytes,
            written: 0,
            short: false,
        }
    }

    pub(crate) fn put<const N: usize>(&mut self, value: [u8; N]) {
        let end = self.written.saturating_add(N);
        if let Some(place) = self.bytes.get_mut(self.written..end) {
            place.copy_from_slice(&value);
            self.written = end;
        } else {
            self.short = true;
        }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.put(value.to_le_bytes());
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.put(value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.put(value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.put(value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.put(value.to_le_bytes());
    }

    /// How many bytes were written, or `None` when something did not fit.
    pub(crate) const fn finish(self) -> Option<usize> {
        if self.short { None } else { Some(self.written) }
    }
}
