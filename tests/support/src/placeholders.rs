//! The placeholders of the contract's cases that need no gateway: `{{hex:ff}}`, `{{gzip:event}}`.
//! The same names mean the same bytes in the cases and in the inputs of the fuzz targets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::encoding::encoded;
use crate::examples::example;

/// Returns the bytes that the placeholder `name:arguments` stands for, or `None` if it is not one
/// of these. Repetition stops at `bytes_max` bytes.
pub fn placeholder(name: &str, arguments: &str, bytes_max: usize) -> Option<Vec<u8>> {
    Some(match name {
        "basic" => STANDARD.encode(arguments).into_bytes(),
        "basic-latin-1" => STANDARD.encode(latin_1(arguments)?).into_bytes(),
        "hex" => {
            let digits = arguments.as_bytes().as_chunks::<2>().0;
            digits.iter().copied().map(byte).collect::<Option<_>>()?
        }
        "repeat" => {
            let (times, text) = arguments.split_once(':')?;
            repeated(text, times, bytes_max)?
        }
        // A placeholder cannot hold its own end.
        "closing-braces" => repeated("}", arguments, bytes_max)?,
        "example" => example(arguments)?.into(),
        "gzip" | "zlib" | "deflate" | "zstd" => encoded(name, &plain(arguments)),
        _ => return None,
    })
}

fn latin_1(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|letter| u8::try_from(letter).ok())
        .collect()
}

fn byte(digits: [u8; 2]) -> Option<u8> {
    u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()
}

fn repeated(text: &str, times: &str, bytes_max: usize) -> Option<Vec<u8>> {
    let times = times.parse::<usize>().ok()?;
    let times = times.min(bytes_max / text.len().max(1));
    Some(text.repeat(times).into_bytes())
}

/// A body before it is compressed: one of these, an example, or the text itself.
fn plain(name: &str) -> Vec<u8> {
    let record = r#"{"envcustomerid":"acme"}"#;
    match name {
        "space" => b" ".to_vec(),
        "lines" => format!("{record}\n{record}\n").into_bytes(),
        "array" => format!("[{record},{record}]").into_bytes(),
        "large" => format!("{record}{}", " ".repeat(64 << 10)).into_bytes(),
        // Larger than what is read in place, and than the limit of the fuzz targets' gateway.
        "many" => format!("[{}]", vec![record; 12 << 10].join(",")).into_bytes(),
        "huge" => vec![b' '; 1 << 20],
        text => example(text).unwrap_or(text).as_bytes().to_vec(),
    }
}
