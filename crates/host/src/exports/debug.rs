//! `DbgPrint` and `KeBugCheckEx`.

use apclab_model::kernel::BugCheck;

use crate::bugcheck::check;
use crate::dispatch::{Arguments, Export, Fault};
use crate::memory::Memory;
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[
    Export::plain("DbgPrint", print),
    Export::plain("KeBugCheckEx", bug_check),
];

fn bug_check(_: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let parameters = [1, 2, 3, 4].map(|index| arguments.word(index));
    Err(check(
        arguments.long(0),
        parameters,
        "the driver called KeBugCheckEx",
    )
    .into())
}

/// `DbgPrint(Format, …)`: what is printed goes to the machine's log, without a final line feed.
fn print(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let format = state.memory.read_c_string(arguments.word(0), LONGEST)?;
    let text = expand(&state.memory, &format, |index| arguments.word(index + 1))?;
    let line = text.trim_end_matches(['\r', '\n']).to_owned();
    if thread.machine.options.echo {
        eprintln!("{}: {line}", thread.shared.name);
    }
    state.log.push(line);
    Ok(0)
}

/// The longest text that `DbgPrint` takes in one call, in bytes.
const LONGEST: u64 = 512;
/// How many arguments can follow the format.
const ARGUMENTS: usize = 10;

/// Expands `%s %d %i %u %x %X %p %c %wZ %%` with flags, width and length prefixes.
fn expand(
    memory: &Memory,
    format: &str,
    argument: impl Fn(usize) -> u64,
) -> Result<String, BugCheck> {
    let mut text = String::new();
    let mut characters = format.chars().peekable();
    let mut index = 0;
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let zeros = characters.next_if_eq(&'0').is_some();
        let mut width = 0_usize;
        while let Some(digit) = characters.peek().and_then(|digit| digit.to_digit(10)) {
            width = (width * 10 + digit as usize).min(64);
            characters.next();
        }
        let mut prefix = String::new();
        while let Some(letter) = characters.next_if(|letter| "lhIw".contains(*letter)) {
            prefix.push(letter);
        }
        if prefix == "I" {
            while characters.next_if(char::is_ascii_digit).is_some() {}
        }
        // A single l is a LONG, which has 32 bits.
        let wide = matches!(prefix.as_str(), "ll" | "I");
        let Some(conversion) = characters.next() else {
            break;
        };
        if conversion == '%' {
            text.push('%');
            continue;
        }
        if index >= ARGUMENTS {
            text.push_str("(too many arguments)");
            break;
        }
        let word = argument(index);
        index += 1;
        let low = if wide { word } else { word & 0xFFFF_FFFF };
        let signed = if wide {
            word.cast_signed()
        } else {
            i64::from(u32::try_from(low).unwrap_or(0).cast_signed())
        };
        let piece = match conversion {
            's' => memory.read_c_string(word, LONGEST)?,
            'Z' => memory.read_unicode_string(word)?,
            'd' | 'i' => signed.to_string(),
            'u' => low.to_string(),
            'x' => format!("{low:x}"),
            'X' => format!("{low:X}"),
            'p' => format!("{word:016X}"),
            'c' => char::from(word.to_le_bytes()[0]).to_string(),
            other => format!("%{other}"),
        };
        let fill = if zeros { '0' } else { ' ' };
        for _ in piece.chars().count()..width {
            text.push(fill);
        }
        text.push_str(&piece);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Pool, Request};

    fn memory_with(text: &[u8]) -> (Memory, u64) {
        let mut memory = Memory::new(Pool::new().unwrap());
        let at = memory.pool.allocate(Request::system(64, 1)).unwrap();
        memory.write(at, text).unwrap();
        (memory, at)
    }

    #[test]
    fn integers_come_in_their_widths() {
        let (memory, _) = memory_with(b"");
        let words = [0xFFFF_FFFF_u64, 10, 255, u64::MAX];
        let text = expand(&memory, "%d|%4u|%02x|%llu|%%", |index| words[index]).unwrap();
        assert_eq!(text, "-1|  10|ff|18446744073709551615|%");
        let text = expand(&memory, "%lu %I64x %p", |index| words[3 - index]).unwrap();
        assert_eq!(text, "4294967295 ff 000000000000000A");
    }

    #[test]
    fn strings_are_read_from_the_drivers_memory_only() {
        let (memory, at) = memory_with(b"lane\0");
        assert_eq!(expand(&memory, "<%s>", |_| at).unwrap(), "<lane>");
        assert_eq!(expand(&memory, "%s", |_| 16).unwrap_err().code, 0x50);
    }
}
