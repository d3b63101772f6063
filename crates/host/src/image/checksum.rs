//! The checksum in a PE file's optional header, which the kernel's loader verifies.

/// Computes the checksum of `file`, whose checksum field lies at `field`.
///
/// It is the folded 16-bit sum of the file's words, the field taken as zero, plus the length.
pub(crate) fn compute(file: &[u8], field: usize) -> u32 {
    let mut sum: u32 = 0;
    for (index, pair) in file.chunks(2).enumerate() {
        let offset = index * 2;
        if (field..field + 4).contains(&offset) {
            continue;
        }
        let word = u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        sum += u32::from(word);
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    let length = u32::try_from(file.len()).unwrap_or(u32::MAX);
    sum.wrapping_add(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_itself_does_not_count() {
        let mut file = vec![1, 2, 3, 4, 5, 6, 7, 8, 9];
        let before = compute(&file, 4);
        file[5] = 99;
        assert_eq!(compute(&file, 4), before);
        file[8] = 10;
        assert_eq!(compute(&file, 4), before + 1);
    }

    #[test]
    fn carries_are_folded_back() {
        let file = [0xFF, 0xFF, 0x02, 0x00, 0, 0, 0, 0];
        assert_eq!(compute(&file, 4), 2 + 8);
    }
}
